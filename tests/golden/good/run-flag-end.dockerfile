FROM debian
RUN --network=none -- --help
