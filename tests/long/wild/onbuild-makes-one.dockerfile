FROM busybox
ONBUILD ARG WHO=you
ONBUILD COPY conf /etc/app
ONBUILD RUN echo "$WHO" > /who
ONBUILD ENTRYPOINT ["/bin/sh"]
WORKDIR /app
CMD ["-c", "env"]
