FROM debian
ADD app.tar.gz /opt/
