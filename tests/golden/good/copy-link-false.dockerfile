FROM debian
COPY --link=false --parents=true ./x/./y/*.txt /z/
