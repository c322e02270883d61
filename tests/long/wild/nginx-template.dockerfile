FROM busybox
ENV NGINX_VERSION   1.25.3
ENV NJS_VERSION     0.8.2
ENV PKG_RELEASE     1~bookworm
RUN set -x \
# a group and a user of their own
    && echo "nginx:x:101:" >> /etc/group \
    && echo "nginx:x:101:101:nginx:/var/cache/nginx:/sbin/nologin" >> /etc/passwd \
    && mkdir -p /docker-entrypoint.d
COPY scripts/docker-entrypoint.sh /
COPY scripts/install.sh /docker-entrypoint.d/10-listen.sh
COPY conf/*.conf /etc/nginx/templates/
ENTRYPOINT ["/docker-entrypoint.sh"]
EXPOSE 80
STOPSIGNAL SIGQUIT
CMD ["nginx", "-g", "daemon off;"]
