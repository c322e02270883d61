FROM maven:3.9-eclipse-temurin-21 AS build
COPY pom.xml /build/
COPY src /build/src/
WORKDIR /build
RUN mvn -B package -DskipTests
FROM eclipse-temurin:21-jre
ARG JAR_FILE=/build/target/*.jar
COPY --from=build ${JAR_FILE} app.jar
EXPOSE 8080/tcp
ENTRYPOINT ["java", "-jar", "/app.jar"]
