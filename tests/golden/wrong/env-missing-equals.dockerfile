FROM busybox
ENV A=1 B C=3
