"""A blob on its way in, read along: as far as it has come, while the rest still comes.

ingest   ──▶ write ──▶ advance ──▶ write ──▶ advance ──▶ finish
reader       read(n) waits until n bytes are there, or the end
"""

import io
import os
import threading
from pathlib import Path

from sampan.content.partial import ContentTruncated


class Arriving:
    """The reader of one blob that `Content.ingest` takes in. Whoever was given it reads in one thread, and closes it.

    What it gives is not verified: the digest is known only when all has come.
    """

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
        self._changed = threading.Condition()
        self._there = 0
        self._whole = False
        self._broken = False
        self._position = 0

    def read(self, size: int) -> bytes:
        """The next `size` bytes, fewer at the end. Raises ContentTruncated where the rest will not come."""
        wanted = self._position + size
        with self._changed:
            self._changed.wait_for(lambda: self._there >= wanted or self._whole or self._broken)
            if self._broken:
                raise ContentTruncated("the content does not come in whole")
            count = min(size, self._there - self._position)
        data = os.pread(self._descriptor, count, self._position)
        self._position += len(data)
        return data

    def tell(self) -> int:
        """How far it was read."""
        return self._position

    def fileno(self) -> int:
        """Its descriptor once all has come. Raises io.UnsupportedOperation before: the file is not what it will be."""
        with self._changed:
            if not self._whole or self._broken:
                raise io.UnsupportedOperation("fileno")
            return self._descriptor

    def close(self) -> None:
        """End of the reading."""
        os.close(self._descriptor)

    # ---- for whoever writes, or has changed its mind

    def advance(self, size: int) -> None:
        """So many bytes more are there."""
        with self._changed:
            self._there += size
            self._changed.notify_all()

    def finish(self) -> None:
        """All is there."""
        with self._changed:
            self._whole = True
            self._changed.notify_all()

    def give_up(self) -> None:
        """Nobody needs the rest, or it does not come: the reader's next read fails. Nothing happens when called again."""
        with self._changed:
            self._broken = True
            self._changed.notify_all()
