# one
   # two, indented
FROM debian
# three

#
# four
RUN echo # this is the shell's
RUN a \
# five
  # six
  b
# seven
