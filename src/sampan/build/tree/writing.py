"""Files and directories of one tree written into another, as BuildKit's copies do it; both trees may be hostile.

A parent directory is opened without following any link by its real path; what is made or replaced is one name in it.
"""

import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

from sampan.build.tree.directory import PLAIN, clamp, make_directories
from sampan.build.tree.manner import Manner
from sampan.build.tree.selection import Below
from sampan.errors import InvalidParameter
from sampan.kernel.files import openat2

_READABLE = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_PARENT = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW


class InTheWay(InvalidParameter):
    """What stands at the destination does not give way to what is copied."""


class Item(Protocol):
    """Something that is no directory, and can be copied."""

    @property
    def identity(self) -> tuple[int, int] | None:
        """The same for all names of one file; None for one that has a single name."""
        ...

    def put(self, parent: int, name: bytes, manner: Manner, /) -> None:
        """Make a copy. Raises FileExistsError where the name is not free, OSError."""
        ...


class Top(Protocol):
    """A directory whose content is copied."""

    def describe(self, below: bytes, copy: int, manner: Manner, /) -> None:
        """Give the open directory `copy` what the one at `below` has, b"" being the top: then its times only. Raises OSError."""
        ...


@dataclass(slots=True)
class Writing:
    """Into the tree below the descriptor `root`. Paths are real ones (see `make_directories`). Close it."""

    root: int
    manner: Manner
    _parent: int = -1
    _parent_path: bytes = b""
    _links: dict[tuple[int, int], bytes] = field(default_factory=dict)
    _touched: set[bytes] = field(default_factory=set)

    def make_directories(self, path: bytes) -> bytes:
        """The real path of the directory that `path` leads to, made where it is missing."""
        return make_directories(self.root, path, self.manner.making)

    def write(self, item: Item, path: bytes) -> None:
        """A copy at `path`, where something else than a directory gives way. Raises InTheWay, OSError."""
        above, _, name = path.rpartition(b"/")
        parent = self._open_parent(above)
        try:
            self._put(item, parent, name, path)
        except FileExistsError:
            self._make_way(parent, name, path)
            self._put(item, parent, name, path)

    def _put(self, item: Item, parent: int, name: bytes, path: bytes) -> None:
        identity = item.identity
        if identity is None:
            item.put(parent, name, self.manner)
        elif identity in self._links:
            self._link(self._links[identity], parent, name)
        else:
            item.put(parent, name, self.manner)
            self._links[identity] = path

    def _make_way(self, parent: int, name: bytes, path: bytes) -> None:
        try:
            os.unlink(name, dir_fd=parent)
        except FileNotFoundError:
            return
        except (IsADirectoryError, PermissionError) as error:
            if not stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode):
                raise
            raise InTheWay(f"cannot replace to directory /{os.fsdecode(path)} with file") from error

    def _link(self, first: bytes, parent: int, name: bytes) -> None:
        above, _, first_name = first.rpartition(b"/")
        source = openat2(self.root, above or b".", _PARENT, PLAIN)
        try:
            os.link(first_name, name, src_dir_fd=source, dst_dir_fd=parent, follow_symlinks=False)
        finally:
            os.close(source)

    def write_below(self, top: Top, entries: Iterable[Below[Item]], path: bytes) -> None:
        """Copies of `entries`, which lie below `top`, into the directory at `path`, which gets its times.

        A directory on a directory merges, and what comes describes it. Raises InTheWay, OSError.
        """
        made: list[tuple[bytes, bytes]] = [(b"", path)]
        self._touched.add(path)
        prefix = path + b"/" if path else b""
        for entry in entries:
            below = os.fsencode(entry.path)
            if entry.directory:
                self._directory(prefix + below)
                made.append((below, prefix + below))
            else:
                self.write(entry.item, prefix + below)
        for below, target in reversed(made):
            copy = openat2(self.root, target or b".", _READABLE, PLAIN)
            try:
                top.describe(below, copy, self.manner)
            finally:
                os.close(copy)

    def _directory(self, path: bytes) -> None:
        above, _, name = path.rpartition(b"/")
        parent = self._open_parent(above)
        try:
            os.mkdir(name, 0o700, dir_fd=parent)
        except FileExistsError:
            if not stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode):
                raise InTheWay(f"cannot copy to non-directory: /{os.fsdecode(path)}") from None

    def _open_parent(self, path: bytes) -> int:
        """The directory at `path`; the one before is most often the same."""
        if self._parent < 0 or path != self._parent_path:
            opened = openat2(self.root, path or b".", _PARENT, PLAIN)
            self._forget()
            self._parent, self._parent_path = opened, path
            self._touched.add(path)
        return self._parent

    def touch(self, path: bytes) -> None:
        """Something else writes to the directory at the real path."""
        self._touched.add(path)

    def _forget(self) -> None:
        if self._parent >= 0:
            os.close(self._parent)
            self._parent = -1

    def forget_links(self) -> None:
        """What is copied next is no hard link to what was copied before."""
        self._links.clear()

    def finish(self) -> None:
        """No directory that was written to is younger than the epoch, if there is one."""
        if self.manner.epoch is None:
            return
        for path in self._touched:
            directory = openat2(self.root, path or b".", _PARENT, PLAIN)
            try:
                clamp(directory, self.manner.epoch)
            finally:
                os.close(directory)

    def close(self) -> None:
        """Let go of descriptors."""
        self._forget()
