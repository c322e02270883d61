"""Bytes by their digest, in the layout of an OCI image directory below `content/` of the data root.

Belongs here: taking bytes in and verifying each of them, opening, removing, listing. Does not belong: what the bytes mean,
and who still needs them. May import: errors, spec, kernel, files.
"""
