FROM busybox
RUN echo 1 > /n
RUN echo 2 > /n
RUN rm /n
RUN mkdir /n && echo 3 > /n/a
RUN echo 4 > /n/b
RUN rm -r /n
RUN mkdir /n
RUN touch -d @0 /n/c
RUN true
RUN chmod 700 /n
RUN chown 1:1 /n/c
RUN mv /n /m
