"""The files of one log: the current one, those that rotation has renamed, packed or not, and where in them the last lines begin.

They may be renamed and packed by others meanwhile. A packed file says which one it was made of, so that a reader who holds
that one open knows where to go on.

Loaded by the launcher.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections import namedtuple
from io import FileIO

from sampan.logs.log_file import HEADER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import NamedTuple

    class Mark(NamedTuple):
        """One file, whatever its name. The inode alone would not do: it is given again when a file has been packed."""

        inode: int
        changed_ns: int
        size: int

else:
    # `typing` is no module of the launcher's.
    Mark = namedtuple("Mark", "inode changed_ns size")  # noqa: PYI024

CHUNK = 1 << 17
_MOST_FILES = 1000
_TRIES = 8
_PAST_THE_END = 2
"""Numbers that are looked at behind the last one: the files may have moved on."""
# RFC 1952: magic, deflate, FEXTRA, no time, no flags, unknown system; one extra field "Sn".
_GZIP = struct.Struct("<4sIBBHccHQQQ")
_GZIP_START = (b"\x1f\x8b\x08\x04", 0, 0, 255, 28, b"S", b"n", 24)


def mark(file: FileIO) -> Mark:
    """Which file this is. Size and time are final once it was renamed away."""
    status = os.fstat(file.fileno())
    return Mark(status.st_ino, status.st_mtime_ns, status.st_size)


def gzip_header(source: Mark) -> bytes:
    """How a packed file begins that is made of `source`."""
    return _GZIP.pack(*_GZIP_START, *source)


class Packed:
    """A packed file, read from its beginning to its end with bounded memory. Its end may be cut off by a crash."""

    __slots__ = ("_file", "_inner", "_skipped", "_unused", "source")

    def __init__(self, file: FileIO) -> None:
        """Own `file`."""
        self._file = file
        start = os.pread(file.fileno(), _GZIP.size, 0)
        self.source = mark(file)
        """of the file it was made of, where it says so"""
        if len(start) == _GZIP.size and (fields := _GZIP.unpack(start))[:8] == _GZIP_START:
            self.source = Mark(*fields[8:])
        self._begin()

    def _begin(self) -> None:
        self._file.seek(0)
        self._inner = zlib.decompressobj(31)
        self._unused = b""
        self._skipped = b""

    def read(self, most: int) -> bytes:
        """Up to `most` bytes of what was packed; none at the end."""
        if self._skipped:
            data, self._skipped = self._skipped[:most], self._skipped[most:]
            return data
        while not self._inner.eof:
            given = self._unused or self._file.read(CHUNK)
            try:
                data = self._inner.decompress(given, most)
            except zlib.error:
                return b""
            self._unused = self._inner.unconsumed_tail
            if data or not given:
                return data
        return b""

    def peek(self, most: int) -> bytes:
        """What it begins with; it is at its beginning again."""
        self._begin()
        start = self.read(most)
        self._begin()
        return start

    def seek_tail(self, lines: int) -> int:
        """As `seek_tail`, for which it is unpacked twice."""
        self._begin()
        block = self.read(CHUNK)
        numbered = block.startswith(HEADER)
        ends = 0
        while block:
            ends += block.count(b"\n")
            block = self.read(CHUNK)
        self._begin()
        found = min(lines, ends - numbered)
        skip = ends - found if found < ends - numbered else 0
        while skip and (block := self.read(CHUNK)):
            here = block.count(b"\n")
            if here < skip:
                skip -= here
                continue
            at = 0
            for _ in range(skip):
                at = block.index(b"\n", at) + 1
            self._skipped = block[at:]
            break
        return found

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


if TYPE_CHECKING:
    Part = FileIO | Packed
    """A file of a log as it is read: from somewhere to its end."""


def newest_first(path: str) -> Iterator[Part]:
    """The files of a log, each opened when it is asked for; the caller closes them. None is missed; one may come twice,
    and where two rotations fall in between, a newer one may come behind an older one.

    They move on to higher numbers, ahead of whoever goes through them. A number that is missing for the moment of a rename
    is no loss: what it had stands under the next.
    """
    try:
        yield _open(path)
    except FileNotFoundError:
        # Between two renames of a rotation, or there is no log.
        pass
    end = min(_highest(path) + _PAST_THE_END, _MOST_FILES)
    number = 0
    while number < end:
        number += 1
        try:
            part = _open_renamed(f"{path}.{number}")
        except FileNotFoundError:
            continue
        end = min(max(end, number + _PAST_THE_END), _MOST_FILES)
        yield part


def open_all(path: str) -> list[Part]:
    """The files of a log, oldest first, the current one last. None is missed or taken twice when they are renamed meanwhile."""
    return open_newer(path, None)


def open_newer(path: str, held: Part | None) -> list[Part]:
    """Those files of a log that were begun after the one we hold, oldest first. All, where that was the oldest and is gone.

    Two rotations between two looks would put a newer file behind an older one: then all are looked at again. Where the files
    are renamed faster than they can be opened, the times at which they were ended decide.
    """
    for _ in range(_TRIES):
        current = _inode(path)
        parts = _look(path, held)
        # Once is no harm: the file is met again under the next name.
        if current and current in (_inode(path), _inode(f"{path}.1")):
            return parts
        if not current and not parts:
            return parts
        close_all(parts)
    return sorted(_look(path, held), key=_ended)


def _look(path: str, held: Part | None) -> list[Part]:
    parts: list[Part] = []
    sources: set[Mark] = set()
    inodes: set[int] = set()
    try:
        for part in newest_first(path):
            source = _source(part)
            if held is not None and _is_same(part, held):
                part.close()
                break
            # One that was met under two names, or before and after it was packed.
            if source in sources or (isinstance(part, FileIO) and mark(part).inode in inodes):
                part.close()
                continue
            parts.append(part)
            sources.add(source)
            if isinstance(part, FileIO):
                inodes.add(mark(part).inode)
    except BaseException:
        close_all(parts)
        raise
    return parts[::-1]


def _inode(path: str) -> int:
    """Which file has the name now; 0 for none."""
    try:
        return os.stat(path).st_ino
    except FileNotFoundError:
        return 0


def _ended(part: Part) -> int:
    return _source(part).changed_ns


def _is_same(part: Part, other: Part) -> bool:
    """Whether two open files are one, or one is made of the other."""
    if isinstance(part, FileIO) and isinstance(other, FileIO):
        # Files that are held open keep their inodes for themselves.
        return mark(part).inode == mark(other).inode
    return _source(part) == _source(other)


def _source(part: Part) -> Mark:
    return mark(part) if isinstance(part, FileIO) else part.source


def _highest(path: str) -> int:
    directory, name = os.path.split(path)
    try:
        names = os.listdir(directory)
    except FileNotFoundError:
        return 0
    numbers = [other[len(name) + 1 :].removesuffix(".gz") for other in names if other.startswith(name + ".")]
    return max([int(number) for number in numbers if number.isdecimal()], default=0)


def _open_renamed(path: str) -> Part:
    # The packed file appears before the other one goes: asked in this order one of them is there, unless both move on.
    try:
        return _open(path)
    except FileNotFoundError:
        try:
            return Packed(_open(f"{path}.gz"))
        except FileNotFoundError:
            return _open(path)


def _open(path: str) -> FileIO:
    return FileIO(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW), "r")


def close_all(files: Iterable[Part]) -> None:
    """Let go of them."""
    for file in files:
        file.close()


def size(file: FileIO) -> int:
    """Its length now."""
    return os.fstat(file.fileno()).st_size


def seek_tail(file: Part, lines: int) -> int:
    """Put `file` before its last `lines` whole lines, or before all of them; returns how many are there."""
    if isinstance(file, Packed):
        return file.seek_tail(lines)
    position, found = size(file), 0
    while position > 0:
        start = max(0, position - CHUNK)
        block = os.pread(file.fileno(), position - start, start)
        at = len(block)
        while (at := block.rfind(b"\n", 0, at)) >= 0:
            # Each newline ends a record (what is behind the last is torn); the first one wanted starts behind another's end.
            if found == lines:
                file.seek(start + at + 1)
                return found
            found += 1
        position = start
    file.seek(0)
    # The first line of a numbered file is no record.
    return found - (os.pread(file.fileno(), len(HEADER), 0) == HEADER)
