FROM debian:12 AS build
WORKDIR /src
COPY cmd/go.mod cmd/go.sum ./
RUN cat go.mod go.sum > /dev/null
COPY cmd .
RUN tcc -static -o /out/hello main.c internal/greet.c -Iinternal && chmod 0755 /out/hello || { mkdir -p /out && tcc -o /out/hello main.c internal/greet.c -Iinternal; }

FROM scratch
COPY --from=build /out/hello /hello
COPY --from=build /etc/passwd /etc/group /etc/
USER nobody:nogroup
ENTRYPOINT ["/hello"]
