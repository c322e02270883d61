FROM debian:12 AS extract
WORKDIR /build
COPY data/archive.tar.gz app.jar
RUN mkdir layers && tar -xzf app.jar -C layers && mkdir -p layers/deps layers/loader && mv layers/pkg/lib layers/deps/

FROM debian:12
RUN mkdir -p /opt/java && echo 17 > /opt/java/release
ENV JAVA_HOME=/opt/java JAVA_OPTS="-Xmx256m -Dkey='a b'"
WORKDIR /application
COPY --from=extract /build/layers/deps/ ./
COPY --from=extract /build/layers/loader/ ./
COPY --from=extract /build/layers/pkg/ ./
EXPOSE 8080
ENTRYPOINT exec java $JAVA_OPTS -jar app.jar
