FROM busybox AS files
FROM debian
RUN --mount=type=bind,from=files,source=/bin,target=/mnt \
    --mount=target=/src,rw ls /mnt /src
