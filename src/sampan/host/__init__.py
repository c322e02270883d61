"""What this host can do, found out by trying: for `sampan system check-host`, `docker info`, tests and hints.

Belongs here: probes (each tries one thing in a process of its own and leaves nothing behind), facts that are merely read,
and processes as `ps` shows them. Does not: decisions, and anything that a container is started with. May import `kernel`,
`spec` and `errors`.
"""
