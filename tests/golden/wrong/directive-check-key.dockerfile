# check=stop=all
FROM busybox
