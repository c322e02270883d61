FROM busybox
WORKDIR --create /x
