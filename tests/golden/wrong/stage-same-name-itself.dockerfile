FROM busybox AS a
FROM alpine AS a
COPY --from=a x y
