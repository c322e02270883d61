#syntax = docker/dockerfile:1
#  Escape = `
# check=skip=JSONArgsRecommended;error=true
FROM debian
CMD dir `
  c:\
