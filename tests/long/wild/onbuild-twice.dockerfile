# build: --build-arg WHO=them
FROM busybox-onbuild AS first
FROM busybox-onbuild
COPY --from=first /onbuild/who /first
WORKDIR deeper
