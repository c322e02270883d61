# check=error=perhaps
FROM busybox
