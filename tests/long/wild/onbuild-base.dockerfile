FROM busybox-onbuild
RUN ls /onbuild > /tmp/seen
CMD ["sh"]
