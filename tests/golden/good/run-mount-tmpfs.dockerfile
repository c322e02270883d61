FROM debian
RUN --mount=type=tmpfs,target=/tmp,size=64m make
