FROM scratch
COPY --from=busybox:musl /bin/busybox /bin/busybox
