# needs: buildkit
FROM busybox
COPY --chmod=755 scripts/docker-entrypoint.sh /one
COPY --chmod=0600 app /two
COPY --chmod=1777 app/ /three/
COPY --chmod=644 --chown=1000:1000 . /four
COPY --chown=:4 app/main.py /five/
