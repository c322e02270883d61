FROM debian
COPY <<EOF /Dockerfile
FROM scratch
RUN <<INNER
INNER
EOF
RUN true
