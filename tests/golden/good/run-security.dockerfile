FROM debian
RUN --security=sandbox id
RUN --security=insecure id
