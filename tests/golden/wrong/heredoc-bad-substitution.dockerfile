FROM busybox
COPY <<EOF /x
${A
EOF
