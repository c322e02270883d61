# needs: buildkit
FROM busybox AS tools
RUN mkdir /tools && printf '#!/bin/sh\necho built "$@"\n' > /tools/build && chmod 755 /tools/build
FROM busybox
WORKDIR /src
RUN --mount=type=bind,source=app,target=/src/app,rw cp app/main.py /main.py && echo gone > app/new
RUN --mount=type=bind,from=tools,source=/tools,target=/tools /tools/build it > /built
RUN --mount=type=cache,target=/root/.cache/pip echo cached > /root/.cache/pip/x && cp /root/.cache/pip/x /from-cache
RUN --mount=type=tmpfs,target=/scratch touch /scratch/x && ls /scratch > /listed
RUN --mount=type=secret,id=token,required=false ls /run/secrets > /secrets 2>&1 || echo none > /secrets
