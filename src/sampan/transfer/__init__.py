"""Files carried into and out of a container's file system, by a process that sees nothing but this file system.

Belongs here: the porter (`porter.py` starts and hears it, `process.py` is its program), paths as `docker cp` means them, what
becomes of a tar that is unpacked into a living tree. Does not: which container, whether it runs, how its root is put
together (the daemon says), layers. May import: errors, spec, kernel, files, snapshots, runtime. `process` and what it loads
run in a process of their own and import the standard library's small modules only.
"""
