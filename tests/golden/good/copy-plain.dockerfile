FROM debian
COPY a.txt /dst
COPY a.txt b.txt dir/ /dst/
COPY . .
