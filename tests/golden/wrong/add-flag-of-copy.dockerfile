FROM busybox
ADD --from=0 a b
