FROM debian:12
RUN groupadd -r mysql && useradd -r -g mysql mysql && rm -f /etc/*- && sed -i 's/^mysql:!:[0-9]*:/mysql:!:1:/' /etc/shadow
ENV MYSQL_MAJOR 8.0
RUN mkdir -p /var/lib/mysql /var/run/mysqld \
	&& chown -R mysql:mysql /var/lib/mysql /var/run/mysqld \
	&& chmod 1777 /var/run/mysqld /var/lib/mysql
VOLUME ["/var/lib/mysql", "/etc/mysql/conf.d"]
COPY conf/my.cnf /etc/mysql/
COPY scripts/docker-entrypoint.sh /usr/local/bin/
RUN ln -s usr/local/bin/docker-entrypoint.sh /entrypoint.sh
ENTRYPOINT ["docker-entrypoint.sh"]
EXPOSE 3306 33060
CMD ["mysqld"]
