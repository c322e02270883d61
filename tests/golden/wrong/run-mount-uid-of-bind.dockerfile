FROM busybox
RUN --mount=target=/x,uid=0 true
