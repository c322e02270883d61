from busybox
entripoint x
