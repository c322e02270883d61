FROM php:8.3-fpm
RUN docker-php-ext-install -j$(nproc) pdo_mysql opcache
COPY --from=composer:2 /usr/bin/composer /usr/bin/composer
WORKDIR /var/www/html
COPY --chown=www-data:www-data . .
RUN composer install --no-dev --optimize-autoloader
VOLUME ["/var/www/html/storage"]
