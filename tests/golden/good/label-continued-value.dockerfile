FROM debian
LABEL text="one \
two \
three"
