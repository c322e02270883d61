FROM debian
RUN --mount=type=cache,target=/var/cache/apt,sharing=locked \
    --mount=type=cache,id=lists,target=/var/lib/apt \
    apt-get update && apt-get install -y gcc
