# needs: heredocs
FROM debian:12
RUN <<EOT
#!/usr/bin/env python3
import pathlib
pathlib.Path("/from-python").write_text("hello\n")
EOT
RUN <<-'EOT'
	set -e
	name=value
	echo "$name" > /from-shell
EOT
COPY <<app.conf <<"raw.conf" /etc/wild/
[app]
home = ${HOME:-/nowhere}
app.conf
[raw]
home = ${HOME}
raw.conf
COPY --chmod=0750 --chown=33:www-data <<-EOT /usr/local/bin/start
	#!/bin/sh
	exec "$@"
EOT
RUN python3 <<EOT > /piped && cat <<OTHER >> /piped
print("one")
EOT
two
OTHER
