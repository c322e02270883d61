FROM debian
RUN --network=none make test
RUN --network=host make fetch
RUN --network=default true
