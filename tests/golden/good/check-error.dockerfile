# check=error=true
FROM debian
MAINTAINER me
