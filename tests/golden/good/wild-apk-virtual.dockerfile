FROM alpine:3.19
RUN apk add --no-cache --virtual .deps gcc musl-dev \
 && pip install cython \
 && apk del .deps
