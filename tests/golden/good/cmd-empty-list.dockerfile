FROM debian
CMD []
