FROM debian:$TAGG
