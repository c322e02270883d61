FROM debian AS build
RUN make all
FROM scratch AS binaries
COPY --from=build /out/ /
