"""`ps` without the binary: `options` reads its arguments, `process` one process from /proc, `columns` says how each column looks.

Belongs here: what procps' ps prints of given processes, for `docker top`. Does not: which processes are a container's.
"""
