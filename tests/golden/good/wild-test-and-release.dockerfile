FROM golang:1.22 AS base
WORKDIR /src
COPY . .
FROM base AS lint
RUN go vet ./...
FROM base AS test
RUN go test ./...
FROM base AS build
RUN go build -o /bin/app
FROM alpine AS release
COPY --from=build /bin/app /bin/app
FROM release AS debug
RUN apk add --no-cache gdb
