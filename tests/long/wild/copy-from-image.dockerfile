FROM busybox
COPY --from=debian:12 /etc/debian_version /etc/issue /debian/
COPY --from=debian:12 /usr/share/base-files /debian/base-files
