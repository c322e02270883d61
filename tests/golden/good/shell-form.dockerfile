FROM debian
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
RUN false | true
CMD echo hello
ENTRYPOINT exec top -b
