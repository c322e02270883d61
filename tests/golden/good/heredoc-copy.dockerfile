FROM debian
COPY <<EOF /etc/app.conf
key = value
home = $HOME
EOF
