FROM busybox AS a
RUN --mount=from=b,target=/b true
FROM busybox AS b
