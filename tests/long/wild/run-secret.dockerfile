# needs: buildkit
# build: --secret id=token,src=SECRET --secret id=other,src=SECRET
FROM busybox
RUN --mount=type=secret,id=token sha256sum < /run/secrets/token > /token.sum
RUN --mount=type=secret,id=other,target=/etc/other,mode=0440,uid=5,gid=6 stat -c '%a %u %g' /etc/other > /other.stat
