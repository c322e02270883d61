FROM busybox AS debug
RUN ls -la /
FROM busybox
COPY . /src
