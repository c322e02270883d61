FROM debian
ARG SRC=src DST="/my dst" OWNER=1000
COPY --chown=$OWNER $SRC ${DST}
