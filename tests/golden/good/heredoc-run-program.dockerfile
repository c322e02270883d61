FROM python
RUN python3 <<EOF
print("hello")
EOF
