# build: --build-arg RAILS_ENV=production --build-arg UID=1501
FROM debian:12
ARG RAILS_ENV=development
ARG UID=1000
ENV RAILS_ENV="${RAILS_ENV}" GEM_HOME=/usr/local/bundle
RUN mkdir -p "$GEM_HOME" && chmod 1777 "$GEM_HOME" && echo "gem: --no-document" >> /etc/gemrc
WORKDIR /rails
COPY web/package.json Gemfile
RUN cp Gemfile Gemfile.lock && mkdir -p tmp/pids log storage && chown -R ${UID}:${UID} tmp log storage
COPY --chown=${UID}:${UID} web .
USER ${UID}:${UID}
ENTRYPOINT ["/rails/bin/docker-entrypoint"]
CMD ["./bin/rails", "server"]
