FROM debian
LABEL org.opencontainers.image.title="A title" \
      org.opencontainers.image.version=1.0 \
      "com.example.key with space"="value"
