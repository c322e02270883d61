FROM debian
ARG A B=2 C="three words" D='$4'
ENV ALL="$A/$B/$C/$D"
