FROM debian
RUN <<FIRST cat && <<SECOND sh
one
FIRST
echo two
SECOND
