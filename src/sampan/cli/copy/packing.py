"""Local files as the tar that a container is sent."""

from __future__ import annotations

import os
import stat

from sampan.cli.copy.paths import split_entry
from sampan.files.tar_writer import END
from sampan.files.walk import walk
from sampan.snapshots.difference import tar_entry

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from sampan.cli.copy.paths import CopyInfo

_PIECE = 256 * 1024


def pack(source: CopyInfo, name: str) -> Iterator[bytes]:
    """The tar of `source` under `name` ("" keeps its own), in pieces that are worth a write each. Raises OSError."""
    held: list[bytes] = []
    size = 0
    for part in _parts(source, name):
        held.append(part)
        size += len(part)
        if size >= _PIECE:
            yield b"".join(held)
            held, size = [], 0
    yield b"".join([*held, END])


def _parts(source: CopyInfo, name: str) -> Iterator[bytes]:
    directory, own = split_entry(source.path)
    root = os.fsencode(name or own)
    first_names: dict[tuple[int, int], bytes] = {}
    parent = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    entry = b"." if own == "/" else os.fsencode(own)
    try:
        status = os.stat(entry, dir_fd=parent, follow_symlinks=False)
        yield from tar_entry(root, parent, entry, status, first_names)
        if not stat.S_ISDIR(status.st_mode):
            return
        top = os.open(entry, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)
        try:
            for path, holder, below, found in walk(top, across=True):
                yield from tar_entry(root.rstrip(b"/") + b"/" + path, holder, below, found, first_names)
        finally:
            os.close(top)
    finally:
        os.close(parent)
