FROM busybox
RUN echo 1 > /one
FROM busybox
RUN echo 2 > /two
FROM scratch
COPY --from=0 /one /
COPY --from=1 /two /
