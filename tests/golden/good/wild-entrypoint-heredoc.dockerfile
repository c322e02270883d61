# syntax=docker/dockerfile:1.4
FROM alpine
RUN apk add --no-cache bash
COPY --chmod=755 <<'EOF' /entrypoint.sh
#!/bin/bash
set -euo pipefail
echo "args: $*"
exec "$@"
EOF
ENTRYPOINT ["/entrypoint.sh"]
