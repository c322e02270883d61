FROM debian
RUN set -eux; \
	for x in a b c; do \
		echo "$x"; \
	done; \
	if [ -n "$Y" ]; then exit 1; fi
