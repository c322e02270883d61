FROM debian:12 AS base
ENV LANG=C.UTF-8
WORKDIR /srv
USER www-data
FROM base AS deps
WORKDIR lib
RUN make deps
FROM deps AS test
RUN make test
FROM base
COPY --from=deps /srv/lib /srv/lib
