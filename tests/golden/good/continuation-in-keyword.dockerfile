FROM debian
RU\
N echo joined
