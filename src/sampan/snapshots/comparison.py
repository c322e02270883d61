"""How two whole trees differ: the difference of a vfs container from its image."""

import os
import stat
from collections.abc import Iterator

from sampan.files import tar_reader as tar
from sampan.files.tar_writer import END, header
from sampan.files.walk import walk
from sampan.kernel.files import Resolve, openat2
from sampan.snapshots.difference import is_made_by_engine, tar_entry
from sampan.snapshots.marks import WHITEOUT
from sampan.snapshots.protocol import Usage

_PLAIN = Resolve.BENEATH | Resolve.NO_SYMLINKS | Resolve.NO_XDEV


def tree_difference(lower: int, upper: int, every: bool = False) -> Iterator[bytes]:
    """The tar that turns `lower` (-1: an empty tree) into `upper`: what is new or changed, whiteouts for what is gone.

    An entry counts as changed where kind, mode, owner, size, time or device differ, as Docker judges. What looks like a place for
    a mount is left out, unless it is known to be none (`every`).
    """
    first_names: dict[tuple[int, int], bytes] = {}
    for path, parent, name, status in walk(upper):
        below = lstat(lower, path)
        kept = every or below is not None or not is_made_by_engine(path, parent, name, status)
        if kept and differs(below, status):
            yield from tar_entry(path, parent, name, status, first_names)
    if lower >= 0:
        for path, _, _, _ in walk(lower):
            above, _, base = path.rpartition(b"/")
            # Only the topmost of what is gone, and not what a file now stands in the place of.
            if lstat(upper, path) is None and (not above or _is_directory(upper, above)):
                yield header(tar.Entry((above + b"/" if above else b"") + WHITEOUT + base, tar.FILE))
    yield END


def tree_usage(lower: int, upper: int) -> Usage:
    """What `upper` holds that `lower` does not: bytes and inodes of new and changed entries."""
    size = inodes = 0
    seen: set[int] = set()
    for path, _, _, status in walk(upper):
        if status.st_ino in seen or not differs(lstat(lower, path), status):
            continue
        seen.add(status.st_ino)
        inodes += 1
        size += 0 if stat.S_ISDIR(status.st_mode) else status.st_size
    return Usage(size, inodes)


def differs(below: os.stat_result | None, above: os.stat_result) -> bool:
    """Whether an entry changed, as Docker judges: kind, mode, owner, device, and for all but directories size and time."""
    if below is None:
        return True
    same = (
        below.st_mode == above.st_mode
        and (below.st_uid, below.st_gid, below.st_rdev) == (above.st_uid, above.st_gid, above.st_rdev)
        and (stat.S_ISDIR(above.st_mode) or below.st_size == above.st_size)
    )
    # A directory's time says that an entry came or went, which shows by itself.
    return not same or (not stat.S_ISDIR(above.st_mode) and below.st_mtime_ns != above.st_mtime_ns)


def lstat(root: int, path: bytes) -> os.stat_result | None:
    """What is at `path` below the descriptor `root`, following no link; None where nothing is, or `root` is -1."""
    if root < 0:
        return None
    try:
        descriptor = openat2(root, path, os.O_PATH | os.O_NOFOLLOW, _PLAIN)
    except OSError:
        return None  # gone, or something else stands on the way
    try:
        return os.fstat(descriptor)
    finally:
        os.close(descriptor)


def _is_directory(root: int, path: bytes) -> bool:
    status = lstat(root, path)
    return status is not None and stat.S_ISDIR(status.st_mode)
