"""Every entry of a directory tree, by descriptors."""

import errno
import os
import stat
from collections.abc import Callable, Iterator

from sampan.kernel.files import Resolve, openat2

_READABLE = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_ACROSS = Resolve.BENEATH | Resolve.NO_SYMLINKS
_PLAIN = _ACROSS | Resolve.NO_XDEV


def open_plain(directory: int, path: bytes, across: bool = False) -> int:
    """The directory `path` below `directory`, readable; -1 where it is gone, a link is on the way, or (unless `across`) a mount."""
    try:
        return openat2(directory, path or b".", _READABLE, _ACROSS if across else _PLAIN)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EXDEV):
            return -1
        raise


def walk(
    directory: int, across: bool = False, enters: Callable[[bytes], bool] | None = None
) -> Iterator[tuple[bytes, int, bytes, os.stat_result]]:
    """Every entry below the descriptor `directory`, sorted, parents first: (path, parent's descriptor, name, lstat).

    The descriptor is good until the iteration goes on. Follows no link, enters no other mount (unless `across`), also where
    somebody swaps directories meanwhile; what goes away is left out. Below a directory whose path `enters` denies nothing is
    read; it is asked when the directory has been given. Raises OSError.
    """
    pending: list[bytes] = [b""]
    while pending:
        path = pending.pop()
        current = open_plain(directory, path, across)
        if current < 0:
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
                if stat.S_ISDIR(status.st_mode) and (enters is None or enters(inside)):
                    below.append(inside)
            pending.extend(reversed(below))
        finally:
            os.close(current)
