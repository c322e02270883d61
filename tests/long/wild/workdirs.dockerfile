FROM busybox
WORKDIR a
WORKDIR b/../c
WORKDIR /x/y/
WORKDIR ..
RUN pwd > /pwd
RUN mkdir -p /owned && chown 5:6 /owned
USER 5:6
WORKDIR /owned/by/whom
WORKDIR /tmp
COPY app/main.py .
