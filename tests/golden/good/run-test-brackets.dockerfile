FROM debian
RUN [ -f /etc/passwd ] && echo yes
RUN [[ a == b ]] || true
