FROM busybox AS vendor
WORKDIR /app
COPY web/package.json composer.json
RUN mkdir -p vendor/composer && echo '<?php return [];' > vendor/autoload.php && sha256sum composer.json > vendor/composer/installed.json

FROM debian:12
ENV APACHE_DOCUMENT_ROOT=/var/www/html/public
WORKDIR /var/www/html
COPY --chown=www-data:www-data . .
COPY --chown=www-data:www-data --from=vendor /app/vendor ./vendor
RUN chmod -R ug+rwX app conf && find . -name '*.css' -exec chmod 0444 {} +
USER www-data
