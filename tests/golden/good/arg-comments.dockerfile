# VERSION is the release to build
ARG VERSION=1
# base is what everything stands on
FROM debian:12 AS base
# TOKENS says how many
ARG TOKENS=3
