"""How much may still be written: of one thing that comes from outside, and on the file system."""

import errno
import os

from sampan.errors import InvalidParameter

RESERVE = 64 << 20
"""bytes that are left free on the file system"""
_CHECK_EVERY = 64 << 20


class TooLarge(InvalidParameter):
    """Something from outside is larger than its limit."""


class Room:
    """Counts what comes in. Not for several threads."""

    def __init__(self, descriptor: int, limit: int, what: str) -> None:
        """`descriptor`: of something on the file system. `limit` in bytes; `what` is named when it is exceeded."""
        self._descriptor = descriptor
        self._limit = limit
        self._what = what
        self._taken = 0
        self._unchecked = 0

    def take(self, size: int) -> None:
        """So many bytes more are going to be written. Raises TooLarge, OSError ENOSPC."""
        self._taken += size
        if self._taken > self._limit:
            raise TooLarge(f"{self._what} is larger than {self._limit} bytes")
        self._unchecked += size
        if self._unchecked >= _CHECK_EVERY:
            self._unchecked = 0
            check_free(self._descriptor)


def check_free(descriptor: int) -> None:
    """Raise OSError ENOSPC where the file system is nearly full."""
    room = os.fstatvfs(descriptor)
    if room.f_bavail * room.f_frsize < RESERVE:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
