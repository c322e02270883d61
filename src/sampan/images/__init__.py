"""Images: what a reference names, what an image consists of, and how images come, go and travel as archives.

Belongs here: references, records of images in the state, load, save, import, removal with Docker's rules, the image `host`.
Does not belong: bytes by digest (content), unpacked layers (snapshots), HTTP, the question which containers exist (callers
say). May import: errors, spec, kernel, files, state, content, snapshots.
"""
