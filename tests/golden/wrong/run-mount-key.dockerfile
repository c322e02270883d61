FROM busybox
RUN --mount=type=cache,tarket=/x true
