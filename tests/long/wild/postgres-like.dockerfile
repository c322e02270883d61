FROM busybox
RUN set -eux; \
	echo "postgres:x:70:" >> /etc/group; \
	echo "postgres:x:70:70:Linux User,,,:/var/lib/postgresql:/bin/sh" >> /etc/passwd; \
	mkdir -p /var/lib/postgresql; \
	chown -R postgres:postgres /var/lib/postgresql
RUN mkdir /docker-entrypoint-initdb.d
ENV LANG en_US.utf8
ENV PG_MAJOR 16
ENV PG_VERSION 16.1
RUN set -eux; \
	mkdir -p /usr/local/share/postgresql; \
	echo "listen_addresses = '*'" > /usr/local/share/postgresql/postgresql.conf.sample; \
	grep -F "listen_addresses = '*'" /usr/local/share/postgresql/postgresql.conf.sample
RUN mkdir -p /var/run/postgresql && chown -R postgres:postgres /var/run/postgresql && chmod 2777 /var/run/postgresql
ENV PGDATA /var/lib/postgresql/data
RUN mkdir -p "$PGDATA" && chown -R postgres:postgres "$PGDATA" && chmod 777 "$PGDATA"
VOLUME /var/lib/postgresql/data
COPY scripts/docker-entrypoint.sh /usr/local/bin/
COPY data/seed.sql /docker-entrypoint-initdb.d/
ENTRYPOINT ["docker-entrypoint.sh"]
STOPSIGNAL SIGINT
EXPOSE 5432
CMD ["postgres"]
