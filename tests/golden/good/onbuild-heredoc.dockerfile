FROM debian
ONBUILD RUN <<EOF
echo one
EOF
