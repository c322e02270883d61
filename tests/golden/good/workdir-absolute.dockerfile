FROM debian
WORKDIR /a
WORKDIR b
ENV D=/c
WORKDIR $D/./d//e
WORKDIR "with space"
