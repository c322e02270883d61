"""What is taken of a tree that is a directory: by descriptors, its links resolved by the kernel inside it."""

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from sampan.build.tree.directory import PLAIN
from sampan.build.tree.manner import Manner
from sampan.build.tree.selection import Below, Wanted, chosen
from sampan.files.copying import copy_entry, describe
from sampan.files.walk import walk
from sampan.kernel.files import Resolve, openat2

_INSIDE = Resolve.IN_ROOT | Resolve.NO_MAGICLINKS
_READABLE = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
_BUFFER = 1 << 20


@dataclass(frozen=True, slots=True)
class FoundFile:
    """`directory` is good while the walk stands still; without a name it is a descriptor of the thing itself."""

    directory: int
    name: bytes
    status: os.stat_result

    @property
    def identity(self) -> tuple[int, int] | None:
        """See `writing.Item`."""
        return (self.status.st_dev, self.status.st_ino) if self.status.st_nlink > 1 else None

    def put(self, parent: int, name: bytes, manner: Manner) -> None:
        """See `writing.Item`."""
        if not stat.S_ISSOCK(self.status.st_mode):
            copy_entry(self.directory, self.name, parent, name, self.status, manner.attributes)
            return
        # A socket is of no use without who listens: an empty file stands for it.
        descriptor = os.open(name, _NEW_FILE, 0o600, dir_fd=parent)
        try:
            wanted = manner.attributes(self.status)
            os.fchown(descriptor, wanted.uid, wanted.gid)
            os.fchmod(descriptor, wanted.mode)
            os.utime(descriptor, ns=(wanted.atime, wanted.mtime))
        finally:
            os.close(descriptor)


class FoundTop:
    """One of the things that a path means, opened: whatever its name means by now, it stays what it is. Close it."""

    def __init__(self, name: bytes, descriptor: int) -> None:
        """Takes over the descriptor, an O_PATH one."""
        self.name = name
        self._descriptor = descriptor
        self._status = os.fstat(descriptor)
        self.is_directory = stat.S_ISDIR(self._status.st_mode)
        self.item = FoundFile(descriptor, b"", self._status)

    def content(self) -> BinaryIO | None:
        """What the file holds; None where it is no regular file. Raises OSError."""
        if not stat.S_ISREG(self._status.st_mode):
            return None
        flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY
        return os.fdopen(os.open(f"/proc/self/fd/{self._descriptor}", flags), "rb", buffering=_BUFFER)

    def below(self, wanted: Wanted) -> Iterator[Below[FoundFile]]:
        """What is taken of the directory that it is. Raises OSError."""
        rule = wanted.filter
        return chosen(self._entries(None if rule.plain else lambda path: rule.enters(os.fsdecode(path))), rule)

    def _entries(self, enters: Callable[[bytes], bool] | None) -> Iterator[Below[FoundFile]]:
        source = os.open(b".", _READABLE, dir_fd=self._descriptor)
        try:
            for path, directory, name, status in walk(source, enters=enters):
                yield Below(os.fsdecode(path), stat.S_ISDIR(status.st_mode), FoundFile(directory, name, status))
        finally:
            os.close(source)

    def describe(self, below: bytes, copy: int, manner: Manner) -> None:
        """See `writing.Top`."""
        original = openat2(self._descriptor, below or b".", _READABLE, PLAIN)
        try:
            wanted = manner.attributes(os.fstat(original))
            if below:
                describe(original, copy, wanted)
            else:
                os.utime(copy, ns=(wanted.atime, wanted.mtime))
        finally:
            os.close(original)

    def close(self) -> None:
        """Let go of it."""
        os.close(self._descriptor)


def directory_tops(root: int, wanted: Wanted) -> Iterator[FoundTop]:
    """What the path means in the tree, each to be closed. Raises FileNotFoundError, NotADirectoryError, OSError (ELOOP)."""
    for name in _names(root, wanted):
        # No device is opened, no FIFO waited for.
        yield FoundTop(name, openat2(root, name or b".", os.O_PATH, _INSIDE))


def _names(root: int, wanted: Wanted) -> Iterator[bytes]:
    glob = wanted.glob
    if glob is None:
        yield os.fsencode(wanted.base)
        return
    try:
        base = openat2(root, os.fsencode(wanted.base) or b".", os.O_RDONLY | os.O_DIRECTORY, _INSIDE)
    except (FileNotFoundError, NotADirectoryError):
        return
    prefix = os.fsencode(wanted.base) + b"/" if wanted.base else b""

    def enters(path: bytes) -> bool:
        text = os.fsdecode(path)
        return glob.may_match_below(text) and not glob.matches(text)

    try:
        for path, _, _, _ in walk(base, enters=enters):
            if glob.matches(os.fsdecode(path)):
                yield prefix + path
    finally:
        os.close(base)
