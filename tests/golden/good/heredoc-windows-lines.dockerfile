FROM debian
RUN <<EOF
echo
EOF
CMD ["x"]
