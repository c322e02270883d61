FROM debian
RUN echo "<<EOF" $((1<<2))
RUN ["cat", "<<EOF"]
RUN cat <<<word
CMD cat <<EOF
