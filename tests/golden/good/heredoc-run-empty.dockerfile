FROM debian
RUN <<EOF
EOF
