FROM debian
HEALTHCHECK CMD true
HEALTHCHECK --interval=0s CMD false
