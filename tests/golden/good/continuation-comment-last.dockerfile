FROM debian
RUN a \
  # nothing follows
