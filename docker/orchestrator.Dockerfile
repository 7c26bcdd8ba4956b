# The orchestrator, for a worker elsewhere. From the repository's root:
#   docker build -f docker/orchestrator.Dockerfile -t vard-orchestrator .
# CI has no Docker engine, so it does not build this.
FROM maven:3.9-eclipse-temurin-21 AS build
WORKDIR /src
COPY . .
RUN mvn --batch-mode --quiet -Dmaven.test.skip=true -pl orchestrator -am package

FROM eclipse-temurin:21-jre
COPY --from=build /src/orchestrator/target/vard.jar /opt/vard/vard.jar
USER 1000:1000
WORKDIR /vard
ENTRYPOINT ["java", "-Xmx512m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-jar", "/opt/vard/vard.jar"]
