FROM debian
RUN a \