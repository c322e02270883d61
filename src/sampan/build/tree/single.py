"""A context with one file in it: what lay behind a URL that was named as a context, or was asked for by itself."""

import hashlib
import os
from typing import BinaryIO

from sampan.build.tree.arrival import CONTEXT_LIMIT
from sampan.build.tree.context import Context, indexed_context
from sampan.build.tree.index import Index
from sampan.build.tree.room import Room
from sampan.errors import InvalidParameter
from sampan.files import tar_reader as tar
from sampan.files.tar_reader import Entry
from sampan.files.writing import write_all

_MODE = 0o600
_PIECE = 1 << 20


def single_file(content: BinaryIO, name: str, into: int, mtime: int = 0, checksum: str = "") -> Context:
    """The context, kept below `into`, an empty directory that the caller removes. `mtime` in nanoseconds.

    Raises InvalidParameter for another content than `checksum` (`sha256:…`) says, BadPath for a name that is none, TooLarge, and
    OSError: the stream's, or ENOSPC.
    """
    spool = os.open(b".", os.O_TMPFILE | os.O_RDWR, 0o600, dir_fd=into)
    try:
        size, digest = _spooled(content, spool)
        if checksum and checksum != f"sha256:{digest.hex()}":
            raise InvalidParameter(f"digest mismatch sha256:{digest.hex()}: {checksum[:100]}")
        entry = Entry(os.fsencode(name), tar.FILE, size, mode=_MODE)
        entry.mtime = mtime
        index = Index()
        node = index.add(entry)
        assert node is not None
        node.offset, node.digest = 0, digest
    except BaseException:
        os.close(spool)
        raise
    return indexed_context(index, spool, into)


def _spooled(content: BinaryIO, spool: int) -> tuple[int, bytes]:
    room = Room(spool, CONTEXT_LIMIT, "the file")
    hashed = hashlib.sha256()
    size = 0
    while piece := content.read(_PIECE):
        room.take(len(piece))
        write_all(spool, piece)
        hashed.update(piece)
        size += len(piece)
    return size, hashed.digest()
