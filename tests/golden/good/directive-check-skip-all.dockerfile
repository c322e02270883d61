# check=skip=all
FROM debian as X
MAINTAINER me
