FROM debian
CMD ["a", \
     "b", \
     "c"]
