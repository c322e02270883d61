# build: --label given=here --label com.example.vendor=other
FROM busybox
LABEL com.example.vendor="ACME Incorporated"
LABEL com.example.label-with-value="foo" version="1.0"
LABEL description="This text illustrates \
that label-values can span multiple lines." multi.label1="value1" \
      multi.label2="value2" other='value3'
VOLUME /var/log /var/db
VOLUME ["/data", "/with space"]
RUN mkdir -p /data /var/log && echo kept > /data/kept && echo log > /var/log/kept
EXPOSE 80/tcp 80/udp 7000-7003
STOPSIGNAL 9
USER 1000
