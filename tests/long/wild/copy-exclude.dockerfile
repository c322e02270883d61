# needs: exclude
FROM busybox
COPY --exclude=*.js --exclude=**/*.css web /web
COPY --exclude=internal cmd /cmd/
ADD --exclude=**/*.sql data /data/
