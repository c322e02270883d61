\
FROM debian
