FROM --platform=$TARGETPLATFORM debian:12 AS one
FROM --platform=linux/arm64 debian:12 AS stage-arm64
