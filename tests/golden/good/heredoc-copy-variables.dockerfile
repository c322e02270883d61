FROM debian
ARG NAME=world
COPY <<hello.txt <<'raw.txt' /dir/
Hello, ${NAME}
hello.txt
Hello, ${NAME}
raw.txt
