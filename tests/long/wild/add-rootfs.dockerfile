FROM scratch
ADD data/rootfs.tar.gz /
ENV PATH=/bin
CMD ["/bin/sh"]
LABEL org.label-schema.schema-version="1.0" \
    org.label-schema.name="Base"
