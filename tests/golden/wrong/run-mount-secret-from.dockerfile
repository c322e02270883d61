FROM busybox AS a
FROM busybox
RUN --mount=type=secret,from=a,id=x true
