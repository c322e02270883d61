FRM busybox
