FROM busybox
RUM a b
