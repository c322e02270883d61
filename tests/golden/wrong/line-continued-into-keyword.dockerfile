FROM busybox \
RUN true
