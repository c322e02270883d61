FROM debian
ARG CACHE=/root/.cache
RUN --mount=type=cache,target=$CACHE,id=${CACHE//\//-} pip install x
