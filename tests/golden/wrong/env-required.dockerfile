FROM busybox
ENV A="${VERSION:?give a version}"
