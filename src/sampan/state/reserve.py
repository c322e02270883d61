"""Room on the disk that is kept back, so that on a full one things can still be removed: that is how room is made."""

import os
from pathlib import Path

SIZE = 1 << 20
"""Bytes. A removal writes a few pages of four KiB to the database's log."""


class Reserve:
    """A file that holds nothing but its blocks. For one thread."""

    def __init__(self, path: Path) -> None:
        """Nothing is kept back until `keep`."""
        self._path = path
        self._kept = False

    def keep(self) -> None:
        """Keep the room back, unless it is, or the disk has none to spare: then the next call tries again."""
        if self._kept:
            return
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            try:
                os.posix_fallocate(descriptor, 0, SIZE)
            finally:
                os.close(descriptor)
        except OSError:
            # Full, or read-only: whoever writes hears of it, and half of a reserve is room that somebody else could use.
            self.give_up()
            return
        self._kept = True

    def give_up(self) -> bool:
        """Give the room back to the disk; whether there was any."""
        self._kept = False
        try:
            os.unlink(self._path)
        except OSError:
            return False
        return True
