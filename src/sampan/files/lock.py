"""A lock that one process holds on a directory by a file in it, gone with the process whatever ends it."""

import fcntl
import os
from pathlib import Path

from sampan.errors import Conflict


class Locked(Conflict):
    """Another process holds the lock; the text says which."""


class LockFile:
    """An exclusive flock(2). The file stays; only the lock on it counts."""

    def __init__(self, path: Path) -> None:
        """Take the lock at once. Raises Locked, or OSError where the file cannot be opened."""
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(self._descriptor, 32, 0).decode("ascii", "replace").strip()
            os.close(self._descriptor)
            raise Locked(f"{path.parent} is in use by process {holder or 'unknown'}") from error
        except BaseException:
            os.close(self._descriptor)
            raise
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)

    def close(self) -> None:
        """Give the lock up."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
