FROM debian
ENV NAME=from-env
ARG NAME=from-arg
LABEL name=$NAME
