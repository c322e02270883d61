FROM debian
ADD <<EOF /x
add
EOF
