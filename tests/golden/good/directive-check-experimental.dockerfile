# check=experimental=all
# an odd remark
ARG VERSION=1
# VERSION is right
ARG VERSION=2
# whatever
FROM debian AS base
