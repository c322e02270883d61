FROM busybox
ADD data/archive.tar.gz /gz/
ADD data/archive.tar.bz2 /bz2
ADD data/archive.tar.xz /xz/deep/er/
ADD data/archive.tar /tar/
ADD data/plain.gz /plain/
ADD data/seed.sql /seed/
ADD data/archive.tar.gz data/plain.gz app/main.py /several/
COPY data/archive.tar.gz /copied/
