FROM ubuntu:14.04
MAINTAINER someone
ENV DEBIAN_FRONTEND noninteractive
RUN echo mysql-server mysql-server/root_password password root | debconf-set-selections && \
    apt-get install -y mysql-server
ADD my.cnf /etc/mysql/conf.d/my.cnf
ADD run.sh /run.sh
RUN chmod +x /*.sh
ENV MYSQL_PASS **Random**
VOLUME  ["/etc/mysql", "/var/lib/mysql" ]
EXPOSE 3306
CMD ["/run.sh"]
