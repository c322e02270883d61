FROM debian:12
SHELL ["/bin/bash", "-eo", "pipefail", "-c"]
RUN echo one | tee /one
RUN [[ -f /one ]] && echo two > /two
SHELL ["/usr/bin/python3", "-c"]
RUN open("/three", "w").write("three\n")
SHELL ["/bin/sh", "-ec"]
RUN ["/bin/sh", "-c", "echo four > /four"]
ENTRYPOINT echo in shell form
CMD arguments in shell form
