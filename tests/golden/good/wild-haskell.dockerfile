FROM haskell:9 AS build
WORKDIR /opt/build
COPY stack.yaml package.yaml /opt/build/
RUN --mount=type=cache,target=/root/.stack stack build --only-dependencies
COPY . /opt/build
RUN --mount=type=cache,target=/root/.stack stack install --local-bin-path /opt/bin
FROM debian:12-slim
COPY --from=build /opt/bin/ /usr/local/bin/
