FROM tools AS first
FROM busybox AS tools
