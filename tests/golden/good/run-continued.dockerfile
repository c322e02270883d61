FROM debian
RUN apt-get update \
    && apt-get install -y --no-install-recommends \
        ca-certificates \
        # a remark in between
        curl \
    && rm -rf /var/lib/apt/lists/*
