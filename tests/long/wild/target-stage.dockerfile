# build: --target test
FROM busybox AS base
RUN echo base > /stage
FROM base AS test
RUN echo test >> /stage
ENV RUNNING=tests
CMD ["cat", "/stage"]
FROM base AS release
RUN echo release >> /stage && false
