FROM debian
RUN X=1; echo $X ${X:?} ${X/1/2} $(date) `id`
CMD ["sh", "-c", "echo ${HOME:?}"]
