FROM debian:12
COPY data/*.deb /tmp/
RUN dpkg -i /tmp/*.deb \
    && rm -rf /tmp/*.deb /var/lib/apt/lists/* /var/log/* /var/cache/ldconfig /var/cache/debconf/* /var/lib/dpkg/*-old
RUN wild-tool > /var/lib/wild-tool.txt
CMD ["wild-tool"]
