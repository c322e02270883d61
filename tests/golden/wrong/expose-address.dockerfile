FROM busybox
EXPOSE localhost:80:80
