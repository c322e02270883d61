"""Files on the host, handled so that neither a crash nor a hostile name does harm: atomic writes, locks, paths inside a root,
removal by descriptor, tar in and out, decompression.

Belongs here: what is true of any file. Does not belong: what a layer, an image or a volume is.
May import: errors, kernel. `paths`, `root`, `tar_reader` and `remove` are loaded by the jailed extractor: standard library
modules without typing or dataclasses at run time.
"""
