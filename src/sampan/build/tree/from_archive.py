"""What is taken of a context, out of the archive that it came in: no file of it was unpacked for that."""

import io
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, cast

from sampan.build.tree.index import Index, Node, below, tops
from sampan.build.tree.manner import Manner
from sampan.build.tree.selection import Below, Wanted
from sampan.files import tar_reader as tar
from sampan.files.copying import Attributes
from sampan.snapshots.inodes import moment_of, set_xattrs

_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
_BUFFER = 1 << 20
_KINDS = {
    tar.FILE: stat.S_IFREG,
    tar.DIRECTORY: stat.S_IFDIR,
    tar.SYMLINK: stat.S_IFLNK,
    tar.CHARACTER: stat.S_IFCHR,
    tar.BLOCK_DEVICE: stat.S_IFBLK,
    tar.FIFO: stat.S_IFIFO,
}


def attributes(node: Node, manner: Manner) -> Attributes:
    """What a copy of the node is like: all that is in a context is root's."""
    moment = moment_of(node.mtime)
    return manner.applied(Attributes(0, 0, node.mode, moment, moment), _KINDS[node.kind] | node.mode)


@dataclass(frozen=True, slots=True)
class ArchivedFile:
    """One file of a context; `spool` is the archive."""

    node: Node
    spool: int

    @property
    def identity(self) -> tuple[int, int] | None:
        """See `writing.Item`."""
        return (0, id(self.node)) if self.node.shared else None

    def put(self, parent: int, name: bytes, manner: Manner) -> None:
        """See `writing.Item`."""
        node = self.node
        wanted = attributes(node, manner)
        if node.kind != tar.FILE:
            _put_special(node, parent, name, wanted)
            return
        descriptor = os.open(name, _NEW_FILE, 0o600, dir_fd=parent)
        try:
            self._fill(descriptor)
            describe_as(descriptor, name, node, wanted)
        finally:
            os.close(descriptor)

    def _fill(self, descriptor: int) -> None:
        node = self.node
        if node.regions is None:
            _move(self.spool, node.offset, descriptor, node.size)
            return
        os.ftruncate(descriptor, node.size)
        at = node.offset
        for offset, length in node.regions:
            os.lseek(descriptor, offset, os.SEEK_SET)
            _move(self.spool, at, descriptor, length)
            at += length


def _put_special(node: Node, parent: int, name: bytes, wanted: Attributes) -> None:
    if node.kind == tar.SYMLINK:
        os.symlink(node.link, name, dir_fd=parent)
    else:
        os.mknod(name, _KINDS[node.kind] | 0o600, node.rdev, dir_fd=parent)
    os.chown(name, wanted.uid, wanted.gid, dir_fd=parent, follow_symlinks=False)
    if node.kind != tar.SYMLINK:
        # The node was made a moment ago in a directory that nobody else knows: it is no link.
        os.chmod(name, wanted.mode, dir_fd=parent)
    os.utime(name, ns=(wanted.atime, wanted.mtime), dir_fd=parent, follow_symlinks=False)


def describe_as(descriptor: int, name: bytes, node: Node, wanted: Attributes) -> None:
    """Owner, mode, attributes, times: in this order, because chown(2) clears modes and capabilities. Raises OSError."""
    os.fchown(descriptor, wanted.uid, wanted.gid)
    os.fchmod(descriptor, wanted.mode)
    if node.xattrs:
        set_xattrs(descriptor, name, node.xattrs)
    os.utime(descriptor, ns=(wanted.atime, wanted.mtime))


def _move(spool: int, offset: int, target: int, size: int) -> None:
    while size:
        moved = os.sendfile(target, spool, offset, size)
        if not moved:
            raise OSError("the archive of the build context has become shorter")
        offset += moved
        size -= moved


class ArchivedTop:
    """One of the things that a path means."""

    def __init__(self, name: bytes, node: Node, spool: int) -> None:
        self.name = name
        self._node = node
        self._spool = spool
        self._directories: dict[bytes, Node] = {b"": node}
        self.is_directory = node.children is not None
        self.item = ArchivedFile(node, spool)

    def content(self) -> BinaryIO | None:
        """What the file holds; None where it is no regular file, or one with holes."""
        node = self._node
        if node.kind != tar.FILE or node.regions is not None:
            return None
        return cast(BinaryIO, io.BufferedReader(_Part(self._spool, node.offset, node.size), _BUFFER))

    def below(self, wanted: Wanted) -> Iterator[Below[ArchivedFile]]:
        """What is taken of the directory that it is."""
        for entry in below(self._node, wanted):
            if entry.directory:
                self._directories[os.fsencode(entry.path)] = entry.item
            yield Below(entry.path, entry.directory, ArchivedFile(entry.item, self._spool))

    def describe(self, below: bytes, copy: int, manner: Manner) -> None:
        """See `writing.Top`."""
        node = self._directories[below]
        wanted = attributes(node, manner)
        if below:
            describe_as(copy, below, node, wanted)
        else:
            os.utime(copy, ns=(wanted.atime, wanted.mtime))

    def close(self) -> None:
        """Nothing to let go of: the archive is the context's."""


class _Part(io.RawIOBase):
    """A part of the archive as a file."""

    def __init__(self, spool: int, offset: int, size: int) -> None:
        self._spool = spool
        self._offset = offset
        self._size = size
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]  # Buffer is Python 3.12's
        piece = os.pread(self._spool, min(len(buffer), max(0, self._size - self._at)), self._offset + self._at)
        buffer[: len(piece)] = piece
        self._at += len(piece)
        return len(piece)


def archive_tops(index: Index, spool: int, wanted: Wanted) -> Iterator[ArchivedTop]:
    """What the path means in the context. Raises FileNotFoundError, NotADirectoryError, OSError (ELOOP)."""
    for name, node in tops(index, wanted):
        yield ArchivedTop(os.fsencode(name), node, spool)
