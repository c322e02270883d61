FROM debian
COPY --chmod=0755 --chown=1:2 <<-"EOF" /usr/local/bin/run
	#!/bin/sh
	exec "$@"
	EOF
