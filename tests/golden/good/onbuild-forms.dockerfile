FROM debian
ONBUILD COPY . /app
ONBUILD RUN make \
  install
onbuild env A=b
