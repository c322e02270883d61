# needs: parents
FROM busybox
WORKDIR /w
COPY --parents app/main.py web/src/lib/util.js ./
COPY --parents web/./src/lib/*.js /x/
COPY --parents **/*.conf /y/
