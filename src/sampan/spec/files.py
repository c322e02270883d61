"""Files in containers: the numbers of Go's file modes, and what a read of a path gives."""

import stat
from collections.abc import AsyncIterator
from dataclasses import dataclass

from sampan.spec.document import Document, sent

_KINDS = {
    stat.S_IFDIR: 1 << 31,
    stat.S_IFLNK: 1 << 27,
    stat.S_IFBLK: 1 << 26,
    stat.S_IFCHR: 1 << 26 | 1 << 21,
    stat.S_IFIFO: 1 << 25,
    stat.S_IFSOCK: 1 << 24,
}
_SPECIAL = ((stat.S_ISUID, 1 << 23), (stat.S_ISGID, 1 << 22), (stat.S_ISVTX, 1 << 20))


def go_mode(mode: int) -> int:
    """A mode of stat(2) as Go's `os.FileMode`, which the API sends as a number."""
    number = mode & 0o777 | _KINDS.get(stat.S_IFMT(mode), 0)
    for bit, meaning in _SPECIAL:
        if mode & bit:
            number |= meaning
    return number


class FilesystemChange(Document, frozen=True):
    """One path that differs from the image: 0 modified, 1 added, 2 deleted."""

    path: str = sent("")
    kind: int = sent(0)


@dataclass(frozen=True, slots=True)
class PathArchive:
    """A tar of a path: `stat` is the header that tells what stands there, `pieces` the bytes, to be stepped through or closed."""

    stat: str
    pieces: AsyncIterator[bytes]


class ContainerMount(Document, frozen=True):
    """A container whose merged tree root can see on the host, and where: below /proc."""

    id: str = sent("")
    path: str = sent("")
