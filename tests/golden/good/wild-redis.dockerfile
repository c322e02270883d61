FROM alpine:3.19
RUN addgroup -S -g 1000 redis && adduser -S -G redis -u 999 redis
ENV REDIS_VERSION 7.2.4
ENV REDIS_DOWNLOAD_URL http://download.example.com/releases/redis-7.2.4.tar.gz
RUN set -eux; \
	\
	apk add --no-cache --virtual .build-deps \
		coreutils \
		gcc \
	; \
	wget -O redis.tar.gz "$REDIS_DOWNLOAD_URL"; \
	make -C /usr/src/redis -j "$(nproc)" all
VOLUME /data
WORKDIR /data
EXPOSE 6379
CMD ["redis-server"]
