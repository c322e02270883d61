FROM busybox AS a
HEALTHCHECK --interval=5m --timeout=3s --start-period=1s --retries=7 \
  CMD wget -q -O /dev/null http://localhost/ || exit 1
FROM a
HEALTHCHECK --interval=1m30s CMD ["true", "--", "x"]
FROM a AS last
HEALTHCHECK NONE
