FROM debian:12
RUN apt-get update && apt-get install -y systemd
STOPSIGNAL SIGRTMIN+3
CMD ["/lib/systemd/systemd"]
