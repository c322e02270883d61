"""Layers: what an image's tars unpack to, stacked by chain id, and the writable layer of each container on top.

Belongs here: the Snapshotter protocol (`protocol.py`, whose docstring is the specification), its drivers, unpacking in a
jail, the difference of a writable layer. Does not belong: mounting (the runtime does), image records. May import: errors,
spec, kernel, files. `unpacker` and `extract` run in a process of their own and load the standard library's small modules
only.
"""
