FROM busybox
RUN --mount=type=secret,id=a,mode=999 true
