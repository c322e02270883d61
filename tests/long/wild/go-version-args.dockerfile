# build: --build-arg VERSION=1.4.2 --build-arg COMMIT=abcdef0
ARG BASE=debian
ARG BASE_TAG=12
FROM ${BASE}:${BASE_TAG} AS build
ARG VERSION
ARG COMMIT=unknown
ARG TARGET=hello
WORKDIR /go/src/app
COPY cmd/ ./
RUN tcc -DVERSION="\"${VERSION}-${COMMIT}\"" -Iinternal -o "/usr/local/bin/${TARGET}" main.c internal/greet.c
RUN "/usr/local/bin/${TARGET}" > /version.txt && cat /version.txt

FROM ${BASE}:${BASE_TAG}
ARG VERSION
LABEL version=$VERSION build="${VERSION:-none}+${MISSING:-nothing}"
COPY --from=build /usr/local/bin/ /usr/local/bin/
COPY --from=build /version.txt /
CMD ["hello"]
