FROM debian
WORKDIR app
WORKDIR src/../lib
