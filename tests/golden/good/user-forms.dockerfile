FROM debian
USER nobody
USER 1000:1000
ENV U=app
USER $U:${GROUP:-staff}
