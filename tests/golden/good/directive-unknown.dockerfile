# unknown=value
# escape=`
FROM debian
RUN a \
  b
