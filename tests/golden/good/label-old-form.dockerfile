FROM debian
LABEL description This is the old form
