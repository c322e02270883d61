FROM debian:12
MAINTAINER Someone <someone@example.com>
ENV DEBIAN_FRONTEND noninteractive
RUN mkdir -p /var/lock/apache2 /var/run/apache2 /var/run/sshd /var/log/supervisor
COPY conf/supervisord.conf /etc/supervisor/conf.d/supervisord.conf
EXPOSE 22 80
CMD ["/usr/bin/supervisord"]
