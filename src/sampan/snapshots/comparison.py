"""How two whole trees differ: the difference of a vfs container from its image."""

import os
import stat
from collections.abc import Iterator

from sampan.files import tar_reader as tar
from sampan.files.tar_writer import END, header
from sampan.files.walk import walk
from sampan.kernel.files import Resolve, openat2
from sampan.snapshots.difference import is_made_by_engine, kept_xattrs, tar_entry
from sampan.snapshots.marks import WHITEOUT
from sampan.snapshots.protocol import Usage

Walked = tuple[bytes, int, bytes, os.stat_result]
"""What `files.walk.walk` gives."""

_CHUNK = 1 << 20
_PLAIN = Resolve.BENEATH | Resolve.NO_SYMLINKS | Resolve.NO_XDEV


def tree_difference(lower: int, upper: int, every: bool = False, *, exact: bool = False) -> Iterator[bytes]:
    """The tar that turns `lower` (-1: an empty tree) into `upper`: what is new or changed, whiteouts for what is gone.

    What looks like a place for a mount is left out, unless it is known to be none (`every`). `exact` as in `is_changed`.
    """
    first_names: dict[tuple[int, int], bytes] = {}
    for entry in walk(upper):
        path, parent, name, status = entry
        below = lstat(lower, path)
        kept = every or below is not None or not is_made_by_engine(path, parent, name, status)
        if kept and entry_changed(lower, below, entry, exact=exact):
            yield from tar_entry(path, parent, name, status, first_names)
    if lower >= 0:
        for path, _, _, _ in walk(lower):
            above, _, base = path.rpartition(b"/")
            # Only the topmost of what is gone, and not what a file now stands in the place of.
            if lstat(upper, path) is None and (not above or _is_directory(upper, above)):
                yield header(tar.Entry((above + b"/" if above else b"") + WHITEOUT + base, tar.FILE))
    yield END


def tree_usage(lower: int, upper: int, *, exact: bool = False) -> Usage:
    """What `upper` holds that `lower` does not: bytes and inodes of new and changed entries."""
    size = inodes = 0
    seen: set[tuple[int, int]] = set()
    for entry in walk(upper):
        path, _, _, status = entry
        identity = (status.st_dev, status.st_ino)
        if identity in seen or not entry_changed(lower, lstat(lower, path), entry, exact=exact):
            continue
        seen.add(identity)
        inodes += 1
        size += 0 if stat.S_ISDIR(status.st_mode) else status.st_size
    return Usage(size, inodes)


def entry_changed(lower: int, below: os.stat_result | None, entry: Walked, *, exact: bool = False) -> bool:
    """`is_changed` for an entry of a walk through the upper tree; `below`: what `lstat` found at its path. Gone since: a change."""
    path, parent, name, status = entry
    if below is None or _looks_changed(below, status):
        return True
    if _is_untouched(below, status):
        return False
    try:
        upper = os.open(name, os.O_PATH | os.O_NOFOLLOW, dir_fd=parent)
    except FileNotFoundError:
        return True
    try:
        return is_changed(lower, path, upper, exact=exact)
    finally:
        os.close(upper)


def is_changed(lower: int, path: bytes, upper: int, *, exact: bool = False) -> bool:
    """Whether what the descriptor `upper` is differs from what is at `path` in `lower`, -1 for an empty tree.

    As Docker judges: kind, mode, owner, device, for all but directories size and time; and the attributes that a layer keeps. With
    `exact` the content, too, of whatever was touched: only for trees whose inodes are those of what they were cloned from, since
    all others have to be read.
    """
    descriptor = _open_plain(lower, path or b".")
    if descriptor < 0:
        return True
    try:
        below, above = os.fstat(descriptor), os.fstat(upper)
        if _looks_changed(below, above):
            return True
        if _is_untouched(below, above) or stat.S_IFMT(above.st_mode) not in (stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK):
            return False
        if stat.S_ISLNK(above.st_mode):
            return exact and os.readlink(b"", dir_fd=descriptor) != os.readlink(b"", dir_fd=upper)
        if kept_xattrs(_again(descriptor)) != kept_xattrs(_again(upper)):
            return True
        return exact and stat.S_ISREG(above.st_mode) and not _same_bytes(descriptor, upper)
    finally:
        os.close(descriptor)


def _looks_changed(below: os.stat_result, above: os.stat_result) -> bool:
    same = (
        below.st_mode == above.st_mode
        and (below.st_uid, below.st_gid, below.st_rdev) == (above.st_uid, above.st_gid, above.st_rdev)
        and (stat.S_ISDIR(above.st_mode) or below.st_size == above.st_size)
    )
    # A directory's time says that an entry came or went, which shows by itself.
    return not same or (not stat.S_ISDIR(above.st_mode) and below.st_mtime_ns != above.st_mtime_ns)


def _is_untouched(below: os.stat_result, above: os.stat_result) -> bool:
    """One inode, a hard link's or a snapshot's, and nobody has changed it: its time of change cannot be set."""
    return (below.st_ino, below.st_ctime_ns) == (above.st_ino, above.st_ctime_ns)


def _again(descriptor: int) -> bytes:
    """An O_PATH descriptor by a name, for what takes no such descriptor."""
    return b"/proc/self/fd/%d" % descriptor


def _same_bytes(below: int, above: int) -> bool:
    with open(_again(below), "rb") as one, open(_again(above), "rb") as other:
        while (chunk := one.read(_CHUNK)) == other.read(_CHUNK):
            if not chunk:
                return True
    return False


def lstat(root: int, path: bytes) -> os.stat_result | None:
    """What is at `path` below the descriptor `root`, following no link; None where nothing is, or `root` is -1."""
    descriptor = _open_plain(root, path)
    if descriptor < 0:
        return None
    try:
        return os.fstat(descriptor)
    finally:
        os.close(descriptor)


def _open_plain(root: int, path: bytes) -> int:
    """O_PATH of what is at `path`, following no link; -1 where nothing is, or something else stands on the way."""
    if root < 0:
        return -1
    try:
        return openat2(root, path, os.O_PATH | os.O_NOFOLLOW, _PLAIN)
    except OSError:
        return -1


def _is_directory(root: int, path: bytes) -> bool:
    status = lstat(root, path)
    return status is not None and stat.S_ISDIR(status.st_mode)
