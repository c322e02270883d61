ARG BASE=debian
ARG TAG=12
FROM ${BASE}:${TAG}-slim
