FROM busybox IS base
