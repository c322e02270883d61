FROM busybox:${TAG
