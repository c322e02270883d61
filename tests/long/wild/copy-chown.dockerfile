FROM debian:12
COPY --chown=www-data app /one
COPY --chown=www-data:adm app /two
COPY --chown=33 app /three
COPY --chown=33:4 app/main.py /four
ADD --chown=nobody:nogroup data/archive.tar.gz /six/
USER www-data
COPY app /seven
WORKDIR /eight/nine
