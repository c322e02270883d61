"""The only ctypes and raw netlink: one typed function per system call, one file per family, standard library only.

No policy and no fallback here; a call that fails raises a plain `OSError` whose text shows call and operands.
Imports nothing else of Sampan. Everything here can be loaded by the launcher, so `typing` stays out of it at run time.
"""
