from busybox as Base
maintainer nobody
run echo lower > /lower
workdir /work
env a b
copy app/main.py .
cmd echo "$a"
