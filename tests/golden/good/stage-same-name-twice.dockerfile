FROM busybox AS a
FROM alpine AS a
FROM scratch
COPY --from=a x y
