FROM debian
ENV VERSION=v1.2.3
ENV A=${VERSION/v/} B=${VERSION//./-} C=${VERSION/1*3/x} D=${VERSION//?.?/x}
