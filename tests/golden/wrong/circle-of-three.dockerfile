FROM busybox AS a
COPY --from=c x y
FROM busybox AS b
COPY --from=a x y
FROM busybox AS c
RUN --mount=from=b,target=/b true
