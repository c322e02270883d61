FROM debian
RUN --mount=type=secret,id=token,target=/run/token,required cat /run/token
RUN --mount=type=secret,id=key,env=API_KEY,mode=0400,uid=1000,gid=1000 true
