FROM debian:12 AS planner
WORKDIR /app
COPY cmd/go.mod .
RUN sha256sum go.mod > recipe.json

FROM planner AS cook
RUN mkdir -p src target && echo 'int main(void){return 0;}' > src/main.c && tcc -o target/app src/main.c && rm -r src

FROM cook AS builder
COPY cmd/main.c cmd/internal/* src/
RUN tcc -Isrc -o target/app src/main.c src/greet.c

FROM debian:12 AS runtime
COPY --from=builder /app/target/app /usr/local/bin/app
COPY --from=planner /app/recipe.json /usr/share/app/
ENTRYPOINT ["/usr/local/bin/app"]
