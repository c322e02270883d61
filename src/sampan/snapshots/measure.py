"""How much a tree of files holds, and its walk by descriptors."""

import os
import stat
from collections.abc import Iterator

from sampan.snapshots.protocol import Usage

_READABLE = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW


def walk(directory: int) -> Iterator[tuple[bytes, int, bytes, os.stat_result]]:
    """Every entry below the descriptor `directory`, sorted, parents first: (path, parent's descriptor, name, lstat).

    The descriptor is good until the iteration goes on. Follows no link. What goes away meanwhile is left out.
    """
    pending: list[bytes] = [b""]
    while pending:
        path = pending.pop()
        try:
            current = os.open(path or b".", _READABLE, dir_fd=directory)
        except (FileNotFoundError, NotADirectoryError):
            continue
        try:
            below = []
            for name in sorted(os.fsencode(entry) for entry in os.listdir(current)):
                try:
                    status = os.stat(name, dir_fd=current, follow_symlinks=False)
                except FileNotFoundError:
                    continue
                inside = path + b"/" + name if path else name
                yield inside, current, name, status
                if stat.S_ISDIR(status.st_mode):
                    below.append(inside)
            pending.extend(reversed(below))
        finally:
            os.close(current)


def measure(directory: int) -> Usage:
    """Bytes of files and links below `directory`, each inode once; directories count as inodes only."""
    size = inodes = 0
    linked: set[int] = set()
    for _, _, _, status in walk(directory):
        if stat.S_ISDIR(status.st_mode):
            inodes += 1
            continue
        if status.st_nlink > 1:
            if status.st_ino in linked:
                continue
            linked.add(status.st_ino)
        inodes += 1
        size += status.st_size
    return Usage(size, inodes)
