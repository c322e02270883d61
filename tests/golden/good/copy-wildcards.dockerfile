FROM debian
COPY *.go go.??? [ab]c /src/
