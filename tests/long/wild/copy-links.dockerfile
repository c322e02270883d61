# needs: heredocs
FROM busybox AS base
RUN mkdir -p /a && echo one > /a/one
FROM busybox
COPY --link --from=base /a /a
COPY --link --chmod=755 scripts/install.sh /a/install
COPY --link --chown=10:20 app /b/
WORKDIR /c
COPY --link conf .
