# escape=`
FROM debian
RUN <<EOF
echo \
  still here `
EOF
