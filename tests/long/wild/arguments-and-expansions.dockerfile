# build: --build-arg FLAVOUR=slim --build-arg EMPTY=
ARG REGISTRY
ARG IMAGE=${REGISTRY:+$REGISTRY/}busybox
FROM $IMAGE
ARG FLAVOUR
ARG EMPTY=default
ARG UNSET
ENV A=${FLAVOUR:-full} B=${EMPTY:-unset} C=${EMPTY:-empty} D=${UNSET:-fallback} E=${FLAVOUR:+given}
ENV F="$A-$B" G='$A' H=\$A I=a\ b
ENV OLD old form with $A inside
ENV X=1
ENV X=2 Y=$X
LABEL a="$A" "quoted key"="quoted \"value\"" c=${Y}
RUN echo "$A|$B|$C|$D|$E|$F|$G|$H|$I|$OLD|$X|$Y" > /values
WORKDIR /${FLAVOUR}/${UNDEFINED}/app
USER ${UID:-1000}:${GID:-1000}
EXPOSE ${PORT:-8080}
