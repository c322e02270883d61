FROM busybox
RUN echo "redis:x:1000:" >> /etc/group && echo "redis:x:999:1000::/home/redis:/bin/false" >> /etc/passwd
RUN mkdir /data && chown redis:redis /data
VOLUME /data
WORKDIR /data
COPY --chown=999:1000 scripts/docker-entrypoint.sh /usr/local/bin/
ENTRYPOINT ["docker-entrypoint.sh"]
EXPOSE 6379
CMD ["redis-server"]
