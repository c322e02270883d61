"""A layer's files against the tar that they came from: what was lost, changed or added since.

tar ── entry by entry ──▶ the same path in the layer: kind, size, bytes, link, owner, mode      ─┐
layer ── walked ──▶ what no entry accounts for                                                  ─┴▶ differences
"""

import hashlib
import os
import stat
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import BinaryIO

from sampan.files import tar_reader as tar
from sampan.files.compression import decompressed
from sampan.files.paths import clean, shown, split
from sampan.files.root import SafeRoot
from sampan.files.tar_reader import TarReader
from sampan.files.walk import walk
from sampan.snapshots.inodes import is_left_out
from sampan.snapshots.marks import OPAQUE, WHITEOUT
from sampan.snapshots.whiteouts import KERNEL, Marks

_CHUNK = 1 << 20
_SHOWN = 5
"""Differences that are told; a layer that lost its disk has as many as it has files."""
_REPORT = 16 << 20
_KINDS = {
    tar.FILE: stat.S_IFREG,
    tar.HARD_LINK: stat.S_IFREG,
    tar.SYMLINK: stat.S_IFLNK,
    tar.CHARACTER: stat.S_IFCHR,
    tar.BLOCK_DEVICE: stat.S_IFBLK,
    tar.DIRECTORY: stat.S_IFDIR,
    tar.FIFO: stat.S_IFIFO,
}


class Verification:
    """One layer. `marks`: its directory holds nothing of the layers below (overlay), so that what is too much is seen, too."""

    def __init__(self, directory: int, marks: Marks | None) -> None:
        """`directory` is a readable descriptor, and stays the caller's."""
        self._directory = directory
        self._marks = marks
        # By path, because an archive may bring a path twice: the last one counts.
        self._differences: dict[bytes, str] = {}
        self._inodes: set[int] = set()

    def run(self, stream: BinaryIO) -> Iterator[int]:
        """Compare with the tar in `stream`, compressed or not: how many bytes of it were read so far, now and then.

        Raises BadArchive, OSError (the disk cannot be read).
        """
        source = decompressed(stream)
        done = told = 0

        def read(size: int) -> bytes:
            nonlocal done
            data = source.read(size)
            done += len(data)
            return data

        reader = TarReader(read)
        with SafeRoot(self._directory) as root:
            for entry in reader:
                self._compare(root, entry, reader)
                if done - told >= _REPORT:
                    told = done
                    yield done
        if self._marks is not None:
            self._search(self._marks)

    def differences(self) -> tuple[str, ...]:
        """What was found, as sentences; not more than a few, and how many there are beside."""
        found = [f"{shown(path)} {text}" for path, text in sorted(self._differences.items())]
        more = len(found) - _SHOWN
        return (*found[:_SHOWN], *([f"and {more} more"] if more > 0 else []))

    def _compare(self, root: SafeRoot, entry: tar.Entry, reader: TarReader) -> None:
        path = clean(entry.name)
        mark = _mark(path)
        if mark is not None:
            if self._marks is not None and mark:
                self._compare_mark(root, self._marks, mark, split(path)[1])
            return
        found = "" if is_left_out(entry) else self._found(root, entry, reader, path)
        if found:
            self._differences[path] = found
        elif self._differences:
            self._differences.pop(path, None)
            if entry.kind != tar.DIRECTORY:
                # It took the place of a directory of the same archive, whose entries are rightly not there.
                below = path + b"/"
                for other in [other for other in self._differences if other.startswith(below)]:
                    del self._differences[other]

    def _compare_mark(self, root: SafeRoot, marks: Marks, path: bytes, name: bytes) -> None:
        """`path`: what is hidden, or the directory that is opaque."""
        try:
            if name == OPAQUE:
                descriptor = root.open(path, os.O_RDONLY | os.O_DIRECTORY)
                try:
                    hides = marks.is_opaque(descriptor)
                finally:
                    os.close(descriptor)
            else:
                parent, hidden = split(path)
                directory = root.open(parent, os.O_PATH | os.O_DIRECTORY)
                try:
                    hides = marks.hides(directory, hidden)
                finally:
                    os.close(directory)
        except OSError:
            hides = False
        if not hides:
            self._differences[path] = "no longer hides what lies below it"

    def _found(self, root: SafeRoot, entry: tar.Entry, reader: TarReader, path: bytes) -> str:
        """What is wrong with one entry; "" for nothing. Leaves the reader behind the entry's content or before it."""
        parent, name = split(path)
        try:
            directory = root.open(parent, os.O_PATH | os.O_DIRECTORY)
        except OSError:
            return "is missing"
        try:
            status = os.stat(name or b".", dir_fd=directory, follow_symlinks=False)
            self._inodes.add(status.st_ino)
            return _described(entry, status, directory, name) or (
                _same_bytes(directory, name, reader) if entry.kind == tar.FILE else ""
            )
        except FileNotFoundError:
            return "is missing"
        finally:
            os.close(directory)

    def _search(self, marks: Marks) -> None:
        for path, _, name, status in walk(self._directory):
            if stat.S_ISDIR(status.st_mode) or marks.hidden(name, status) is not None:
                continue
            if status.st_ino not in self._inodes:
                self._differences[path] = "is no part of the layer"


def verify(diff: Path, stream: BinaryIO, marks: Marks | None) -> Generator[int, None, tuple[str, ...]]:
    """`Snapshotter.verify` for a layer whose files lie in the directory `diff`."""
    try:
        directory = os.open(diff, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        return ("its files are gone",)
    try:
        verification = Verification(directory, marks)
        yield from verification.run(stream)
        return verification.differences()
    finally:
        os.close(directory)


def _mark(path: bytes) -> bytes | None:
    """What a whiteout's entry hides, the directory that it makes opaque, b"" for what is passed over; None for other entries."""
    if WHITEOUT not in path:
        return None
    parent, name = split(path)
    if name == OPAQUE:
        return parent or b"."
    if b".wh..wh." in path:
        return b""
    if name.startswith(WHITEOUT):
        return (parent + b"/" if parent else b"") + name.removeprefix(WHITEOUT)
    return None


def _described(entry: tar.Entry, status: os.stat_result, directory: int, name: bytes) -> str:
    if entry.kind == tar.HARD_LINK:
        # A link to a link, a device or a file: what it is was compared with its first name.
        return "" if not stat.S_ISDIR(status.st_mode) and KERNEL.hidden(b"", status) is None else "is something else"
    if stat.S_IFMT(status.st_mode) != _KINDS[entry.kind]:
        return "is something else"
    if entry.kind == tar.FILE and status.st_size != entry.size:
        return f"has {status.st_size} of {entry.size} bytes"
    if entry.kind == tar.SYMLINK:
        return "" if os.readlink(name, dir_fd=directory) == entry.link else "leads elsewhere"
    if (status.st_uid, status.st_gid) != (entry.uid, entry.gid):
        return "belongs to somebody else"
    if status.st_mode & 0o7777 != entry.mode & 0o7777:
        return "has other permissions"
    return ""


def _same_bytes(directory: int, name: bytes, reader: TarReader) -> str:
    descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=directory)
    try:
        wanted, found = hashlib.blake2b(), hashlib.blake2b()
        while chunk := reader.read(_CHUNK):
            wanted.update(chunk)
        while chunk := os.read(descriptor, _CHUNK):
            found.update(chunk)
    finally:
        os.close(descriptor)
    return "" if wanted.digest() == found.digest() else "has other bytes"
