FROM debian
RUN --mount=type=ssh,id=default,required=true git clone git@example.com:repo
