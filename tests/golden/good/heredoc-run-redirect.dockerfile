FROM debian
RUN cat <<EOF > /etc/motd
# not a comment
Welcome \
  to it

EOF
