FROM ubuntu
RUN apt-get update && apt-get install -y memcached
ENTRYPOINT ["memcached", "-u", "daemon"]
CMD ["-m", "64"]
EXPOSE 11211
