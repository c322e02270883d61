"""Files and directories of one tree written into another, as BuildKit's copies do it; both trees may be hostile.

A parent directory is opened without following any link by its real path; what is made or replaced is one name in it.
"""

import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass, field

from sampan.build.tree.directory import MODE, PLAIN, Making, clamp, make_directories
from sampan.build.tree.modes import Change
from sampan.build.tree.selection import Below
from sampan.errors import InvalidParameter
from sampan.files.copying import Attributes, copy_entry, describe, own_attributes
from sampan.kernel.files import openat2

_READABLE = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_PARENT = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW


class InTheWay(InvalidParameter):
    """What stands at the destination does not give way to what is copied."""


@dataclass(frozen=True, slots=True)
class Manner:
    """What copies are like. `epoch`: no time is later, in nanoseconds."""

    owner: tuple[int, int] | None = None
    """user and group of everything that is written; None: the source's, and root's for new directories on the way"""
    change: Change | None = None
    """what `--chmod` makes of a mode"""
    mode: int = MODE
    """of new directories on the way"""
    epoch: int | None = None

    def attributes(self, status: os.stat_result) -> Attributes:
        """What the copy of something with this status is like."""
        wanted = own_attributes(status)
        uid, gid = self.owner if self.owner is not None else (wanted.uid, wanted.gid)
        mode = wanted.mode
        if self.change is not None and not stat.S_ISLNK(status.st_mode):
            mode = self.change(status.st_mode)
        atime, mtime = wanted.atime, wanted.mtime
        if self.epoch is not None:
            atime, mtime = min(atime, self.epoch), min(mtime, self.epoch)
        return Attributes(uid, gid, mode, atime, mtime)

    @property
    def making(self) -> Making:
        """For new directories on the way."""
        return Making(self.owner or (0, 0), self.mode, self.epoch)


@dataclass(frozen=True, slots=True)
class Found:
    """Where something was found: `directory` is good while the walk stands still; without a name it is the thing itself."""

    directory: int
    name: bytes
    status: os.stat_result


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

    def write(self, found: Found, path: bytes) -> None:
        """A copy of what is no directory, at `path`, where something else than a directory gives way. Raises InTheWay, OSError."""
        above, _, name = path.rpartition(b"/")
        parent = self._open_parent(above)
        try:
            self._put(found, parent, name, path)
        except FileExistsError:
            self._make_way(parent, name, path)
            self._put(found, parent, name, path)

    def _put(self, found: Found, parent: int, name: bytes, path: bytes) -> None:
        status = found.status
        identity = (status.st_dev, status.st_ino)
        if status.st_nlink > 1 and identity in self._links:
            self._link(self._links[identity], parent, name)
            return
        if stat.S_ISSOCK(status.st_mode):
            self._stub(parent, name, status)
        else:
            copy_entry(found.directory, found.name, parent, name, status, self.manner.attributes)
        if status.st_nlink > 1:
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

    def _stub(self, parent: int, name: bytes, status: os.stat_result) -> None:
        """A socket is of no use without who listens: an empty file stands for it."""
        descriptor = os.open(name, _NEW_FILE, 0o600, dir_fd=parent)
        try:
            wanted = self.manner.attributes(status)
            os.fchown(descriptor, wanted.uid, wanted.gid)
            os.fchmod(descriptor, wanted.mode)
            os.utime(descriptor, ns=(wanted.atime, wanted.mtime))
        finally:
            os.close(descriptor)

    def write_below(self, source: int, entries: Iterable[Below[Found]], path: bytes) -> None:
        """Copies of `entries`, which lie below the directory `source`, into the directory at `path`, which gets its times.

        A directory on a directory merges, and what comes describes it. Raises InTheWay, OSError.
        """
        made: list[tuple[bytes, bytes]] = []
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
            self._describe(source, below, target)
        status = os.fstat(source)
        wanted = self.manner.attributes(status)
        descriptor = openat2(self.root, path or b".", _READABLE, PLAIN)
        try:
            os.utime(descriptor, ns=(wanted.atime, wanted.mtime))
        finally:
            os.close(descriptor)

    def _directory(self, path: bytes) -> None:
        above, _, name = path.rpartition(b"/")
        parent = self._open_parent(above)
        try:
            os.mkdir(name, 0o700, dir_fd=parent)
        except FileExistsError:
            if not stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode):
                raise InTheWay(f"cannot copy to non-directory: /{os.fsdecode(path)}") from None

    def _describe(self, source: int, below: bytes, path: bytes) -> None:
        original = openat2(source, below, _READABLE, PLAIN)
        try:
            copy = openat2(self.root, path, _READABLE, PLAIN)
            try:
                describe(original, copy, self.manner.attributes(os.fstat(original)))
            finally:
                os.close(copy)
        finally:
            os.close(original)

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
