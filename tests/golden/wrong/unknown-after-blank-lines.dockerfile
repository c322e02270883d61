FROM busybox


# comment
   INSTALL gcc
