"""Directories made ahead: a new directory costs an ext4 some hundred microseconds, a rename forty.

rw/.spare-RANDOM/{upper,work}   ──rename──▶   rw/KEY/{upper,work}
"""

import logging
import os
import threading
from collections import deque
from pathlib import Path

_log = logging.getLogger(__name__)

PREFIX = ".spare-"
_READY = 8
_PAUSE = 0.02
"""Seconds between a directory's being taken and the making of others: whoever took it is about to start a container."""


class Spares:
    """Keeps some upper and work directories ready, made by a thread of its own. Any thread may call."""

    def __init__(self, directory: Path) -> None:
        """Begin to make spares in `directory`. What an earlier process left there is the caller's to clean."""
        self._directory = directory
        self._ready: deque[Path] = deque()
        self._wanted = threading.Event()
        self._wanted.set()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._make, name="spare-layers", daemon=True)
        self._thread.start()

    def take(self) -> Path | None:
        """A directory with an empty `upper` (0755) and `work`, now the caller's; None where none is ready."""
        try:
            spare = self._ready.popleft()
        except IndexError:
            spare = None
        self._wanted.set()
        return spare

    def close(self) -> None:
        """End the thread and remove what it made."""
        self._ended.set()
        self._wanted.set()
        self._thread.join(timeout=1.0)
        for spare in self._ready:
            for path in (spare / "upper", spare / "work", spare):
                try:
                    path.rmdir()
                except OSError:
                    break  # the next start cleans up
        self._ready.clear()

    def _make(self) -> None:
        while self._wanted.wait() and not self._ended.is_set():
            self._wanted.clear()
            self._ended.wait(_PAUSE)
            try:
                while len(self._ready) < _READY and not self._ended.is_set():
                    self._ready.append(make_pair(self._directory / f"{PREFIX}{os.urandom(6).hex()}"))
            except OSError as error:
                # A full disk: whoever needs a directory makes it, and hears why it cannot be.
                _log.warning("cannot make spare layers: %s", error)


def make_pair(directory: Path) -> Path:
    """Make `directory` with `upper` and `work`, or what is missing of it, with their modes. Raises OSError."""
    for path, mode in ((directory, 0o710), (directory / "upper", 0o755), (directory / "work", 0o700)):
        try:
            os.mkdir(path, 0o700)
        except FileExistsError:
            pass
        # The upper directory's own mode and owner are what the container sees of its root.
        os.chmod(path, mode)
    return directory
