# build: --build-arg DJANGO_ENV=production
FROM debian:12
ARG DJANGO_ENV=development
ENV DJANGO_ENV=${DJANGO_ENV} \
    DJANGO_SETTINGS_MODULE=app.settings.${DJANGO_ENV}
LABEL maintainer="ops@example.com" \
      org.opencontainers.image.title="shop" \
      org.opencontainers.image.description="A shop, \
with a description over two lines"
WORKDIR /srv/shop
COPY scripts/docker-entrypoint.sh /usr/local/bin/
COPY ["app", "manage.py", "./"]
RUN chmod 0755 /usr/local/bin/docker-entrypoint.sh \
    && ln -s /usr/local/bin/docker-entrypoint.sh / \
    && if [ "$DJANGO_ENV" = production ]; then mkdir -p static && cp main.py static/; fi
VOLUME /srv/shop/media
ENTRYPOINT ["docker-entrypoint.sh"]
CMD ["gunicorn", "app.wsgi", "-b", "0.0.0.0:8000"]
STOPSIGNAL SIGINT
