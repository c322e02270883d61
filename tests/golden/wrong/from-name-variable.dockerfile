FROM busybox AS $NAME
