FROM debian:12
RUN useradd -m -u 1234 -s /bin/bash dev && rm -f /etc/*- && sed -i 's/^dev:!:[0-9]*:/dev:!:1:/' /etc/shadow
USER dev
WORKDIR /home/dev/work
RUN touch mine 2>/dev/null || touch "$HOME/mine"
RUN id > /tmp/id && echo "$HOME" > /tmp/home
USER root
RUN chown dev: /home/dev/work
USER 1234:33
RUN id > /tmp/id2
