# needs: heredocs
# build: --build-arg FILE=dist/app.tar.gz --build-arg EMPTY=
FROM busybox
ARG FILE
ARG EMPTY
ENV A=${EMPTY-unset} B=${NOT_THERE-unset} C=${EMPTY+set} D=${FILE:?needed}
ENV NAME=${FILE##*/} DIRECTORY=${FILE%/*} BARE=${FILE%%.*} EXTENSION=${FILE#*.}
ENV UNDERSCORED=${FILE//a/_} ONCE=${FILE/a/_}
RUN echo "$A|$B|$C|$D|$NAME|$DIRECTORY|$BARE|$EXTENSION|$UNDERSCORED|$ONCE" > /values
COPY ${FILE:+app/main.py} /${BARE}/
