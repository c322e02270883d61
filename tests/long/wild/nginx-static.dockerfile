FROM busybox AS assets
WORKDIR /assets
COPY web/public ./public
COPY web/src ./src
RUN cat src/*.js > public/app.js && gzip -nk9 public/app.js 2>/dev/null || gzip -9 < public/app.js > public/app.js.gz

FROM busybox
RUN mkdir -p /etc/nginx/conf.d /usr/share/nginx/html /var/log/nginx \
    && ln -sf /dev/stdout /var/log/nginx/access.log \
    && ln -sf /dev/stderr /var/log/nginx/error.log
COPY conf/nginx.conf /etc/nginx/nginx.conf
COPY conf/default.conf /etc/nginx/conf.d/
COPY --from=assets /assets/public /usr/share/nginx/html
EXPOSE 80 443/tcp
STOPSIGNAL SIGQUIT
CMD ["httpd", "-f", "-h", "/usr/share/nginx/html"]
