"""A context's archive on its way in: kept in a file as it is, hashed file by file, and indexed; nothing is unpacked yet.

stream ─ decompress ─▶ chunks ─▶ spool (one file, no name)
                          └────▶ tar reader ─▶ Index: each file's digest, and where its content lies in the spool

A build whose steps are all kept needs no more than this; only what a step copies is ever unpacked.
"""

import hashlib
from typing import BinaryIO

from sampan.build.tree.index import Index
from sampan.build.tree.room import Room
from sampan.files import tar_reader as tar
from sampan.files.compression import decompressed
from sampan.files.tar_reader import BadArchive, Entry, TarReader
from sampan.files.writing import write_all

CONTEXT_LIMIT = 256 << 30
"""bytes of the archive, and of the files it describes (a sparse one counts whole)"""
_CHUNK = 1 << 20


def receive(stream: BinaryIO, spool: int) -> Index:
    """Read the whole stream, a tar, compressed or not, into the empty file `spool` (open for reading and writing).

    `stream.read(n)` returns n bytes unless it ends. Raises BadArchive, BadPath, and OSError: the stream's, or ENOSPC.
    """
    source = _Spooled(decompressed(stream), spool)
    reader = TarReader(source.read)
    index = Index()
    described = 0
    for entry in reader:
        described += entry.size
        if described > CONTEXT_LIMIT:
            raise BadArchive(f"the build context unpacks to more than {CONTEXT_LIMIT} bytes")
        start = source.position
        node = index.add(entry)
        if node is not None and entry.kind == tar.FILE:
            node.offset = start
            node.digest = _hashed(entry, reader)
    source.drain()
    return index


def _hashed(entry: Entry, reader: TarReader) -> bytes:
    hashed = hashlib.sha256()
    if entry.regions is not None:
        hashed.update(b"sparse %d %r " % (entry.size, entry.regions))
    while piece := reader.read(_CHUNK):
        hashed.update(piece)
    return hashed.digest()


class _Spooled:
    """A stream that leaves all that is read of it in a file."""

    def __init__(self, stream: BinaryIO, spool: int) -> None:
        self._stream = stream
        self._spool = spool
        self._chunk = b""
        self._at = 0
        self._kept = 0
        self._room = Room(spool, CONTEXT_LIMIT, "the build context")

    @property
    def position(self) -> int:
        """Of the next byte, in the file."""
        return self._kept - len(self._chunk) + self._at

    def read(self, size: int) -> bytes:
        """Exactly `size` bytes, fewer at the end."""
        end = self._at + size
        if end <= len(self._chunk):
            piece = self._chunk[self._at : end]
            self._at = end
            return piece
        parts = [self._chunk[self._at :]]
        left = size - len(parts[0])
        while left and self._refill():
            parts.append(self._chunk[:left])
            self._at = len(parts[-1])
            left -= self._at
        return b"".join(parts)

    def _refill(self) -> bool:
        self._chunk = self._stream.read(_CHUNK)
        self._at = 0
        self._kept += len(self._chunk)
        self._room.take(len(self._chunk))
        write_all(self._spool, self._chunk)
        return bool(self._chunk)

    def drain(self) -> None:
        """What follows the archive's end is read and forgotten: who sends it waits until it is taken."""
        while piece := self._stream.read(_CHUNK):
            self._room.take(len(piece))
