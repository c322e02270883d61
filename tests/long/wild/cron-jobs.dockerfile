FROM busybox
COPY conf/crontab /var/spool/cron/crontabs/root
RUN mkdir -p /var/log && chmod 0600 /var/spool/cron/crontabs/root && touch /var/log/cron.log
COPY scripts/install.sh /usr/local/bin/backup
RUN chmod u+x,g-w /usr/local/bin/backup
ENV TZ=Europe/Berlin
CMD crond -l 2 -f && tail -f /var/log/cron.log
