FROM debian
RUN -x --y
