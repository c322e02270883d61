FROM debian
VOLUME /data
VOLUME /a /b
VOLUME ["/c", "/d e"]
ENV V=/v
VOLUME $V/x
