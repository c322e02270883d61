FROM debian
ARG CFLAGS="-O2 -g"
ARG JOBS=4
RUN make -j${JOBS} CFLAGS="${CFLAGS}" && make install DESTDIR=/out
