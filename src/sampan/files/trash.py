"""Files and directories that are no longer wanted: out of sight at once, deleted by a thread.

take(path) ──rename──▶ trash/RANDOM ──thread──▶ gone         what a killed process left in trash/ goes at the next start
"""

import logging
import os
import threading
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path

from sampan.errors import HOST_TROUBLE
from sampan.files.atomic import make_directory
from sampan.files.remove import remove_tree
from sampan.files.root import SafeRoot

_log = logging.getLogger(__name__)

_PAUSE = 0.01
"""Seconds before the deleting begins: whoever threw something away still has an answer to write."""
_AGAIN = 5.0
"""Seconds until what the machine's trouble kept from being deleted (no descriptors, say) is tried once more."""
_LINGER = 0.2
"""Seconds that the thread waits for more: to make one costs its maker a third of a millisecond."""


@dataclass(frozen=True, slots=True)
class Freeing:
    """What is out of sight and still on the disk: how many files and trees, and their bytes as far as they are known."""

    items: int = 0
    size: int = 0

    def __add__(self, other: "Freeing") -> "Freeing":
        return Freeing(self.items + other.items, self.size + other.size)


class Trash:
    """`trash/` of a data root. What an earlier process left in it is deleted, too."""

    def __init__(self, directory: Path) -> None:
        """Open or make the directory; its parent exists, and lies on the file system of what is thrown away."""
        self._directory = make_directory(directory)
        self._waiting: deque[bytes] = deque()
        self._more = threading.Condition()
        self._closed = False
        # Not a daemon thread: one that waits for more would crash an interpreter that ends meanwhile.
        self._thread: threading.Thread | None = None
        self._stuck: set[bytes] = set()
        self._sizes: dict[bytes, int] = {}
        for name in os.listdir(os.fsencode(directory)):
            self._delete(name)

    def take(self, path: Path, size: int = 0) -> None:
        """Move `path`, of `size` bytes where that is known, in and have it deleted. Nothing happens where it is not there.

        Raises OSError.
        """
        name = os.urandom(12).hex()
        try:
            os.rename(path, self._directory / name)
        except FileNotFoundError:
            return
        self._delete(name.encode(), size)

    def freeing(self) -> Freeing:
        """What waits to be deleted, or is being deleted."""
        with self._more:
            return Freeing(len(self._sizes), sum(self._sizes.values()))

    def _delete(self, name: bytes, size: int = 0) -> None:
        with self._more:
            self._waiting.append(name)
            self._sizes[name] = size
            self._more.notify()
            if self._thread is None:
                thread = threading.Thread(target=self._empty, name="trash")
                try:
                    thread.start()
                except RuntimeError as error:
                    # No memory or no process for it: what waits goes with what comes next.
                    _log.warning("nothing is deleted in %s for now: %s", self._directory, error)
                    return
                self._thread = thread

    def stuck(self) -> tuple[Path, ...]:
        """What could not be deleted; `take` tries again."""
        return tuple(path for name in sorted(self._stuck) if (path := self._directory / os.fsdecode(name)).exists())

    def close(self) -> None:
        """End after the directory that is being deleted; the rest goes at the next start."""
        with self._more:
            self._closed = True
            self._waiting.clear()
            self._more.notify()
            thread = self._thread
        if thread is not None:
            thread.join(timeout=1.0)

    def _empty(self) -> None:
        time.sleep(_PAUSE)
        while (name := self._next()) is not None:
            try:
                self._remove(name)
            except OSError as error:
                self._stuck.add(name)
                # Still mounted somewhere, or a broken disk: the next start tries again.
                _log.warning("cannot delete %s/%s: %s", self._directory, os.fsdecode(name), error)
            finally:
                with self._more:
                    del self._sizes[name]

    def _remove(self, name: bytes) -> None:
        try:
            self._remove_now(name)
        except OSError as error:
            if error.errno not in HOST_TROUBLE:
                raise
            with self._more:
                self._more.wait_for(lambda: self._closed, _AGAIN)
            self._remove_now(name)

    def _remove_now(self, name: bytes) -> None:
        with SafeRoot(str(self._directory)) as directory:
            remove_tree(directory.fd, name)

    def _next(self) -> bytes | None:
        with self._more:
            self._more.wait_for(lambda: self._waiting or self._closed, _LINGER)
            if self._waiting:
                return self._waiting.popleft()
            self._thread = None
            return None
