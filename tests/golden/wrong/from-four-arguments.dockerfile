FROM busybox AS base extra
