FROM busybox
RUN ["sleep", 1]
