"""Layers out: a directory tree as a tar in Docker's form, with an overlay's marks turned back into whiteouts."""

import errno
import os
import stat
from collections.abc import Iterator

from sampan.files import tar_reader as tar
from sampan.files.tar_writer import END, header, padding
from sampan.files.walk import walk
from sampan.snapshots.inodes import is_kept
from sampan.snapshots.marks import OPAQUE, WHITEOUT
from sampan.snapshots.whiteouts import KERNEL, Marks

_CHUNK = 1 << 20
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_GONE = frozenset((errno.ENOENT, errno.ELOOP, errno.ENXIO, errno.ENODEV, errno.ENOTDIR))
MADE_FILES = frozenset((b".dockerenv", b"etc/hostname", b"etc/hosts", b"etc/resolv.conf"))
MADE_DIRECTORIES = frozenset((b"dev", b"proc", b"sys"))
"""What a start makes in a root for its mounts."""
_KINDS = {
    stat.S_IFREG: tar.FILE,
    stat.S_IFDIR: tar.DIRECTORY,
    stat.S_IFLNK: tar.SYMLINK,
    stat.S_IFCHR: tar.CHARACTER,
    stat.S_IFBLK: tar.BLOCK_DEVICE,
    stat.S_IFIFO: tar.FIFO,
}


def overlay_difference(directory: int, every: bool = False, marks: Marks = KERNEL) -> Iterator[bytes]:
    """The tar of an overlay's upper directory. Sockets are left out, as Docker does: they mean nothing elsewhere.

    So is what looks like a place for a mount, unless it is known to be none (`every`).
    """
    first_names: dict[tuple[int, int], bytes] = {}
    for path, parent, name, status in walk(directory):
        hidden = marks.hidden(name, status)
        if hidden is not None:
            above = path.rpartition(b"/")[0]
            if hidden:
                yield header(tar.Entry((above + b"/" if above else b"") + WHITEOUT + hidden, tar.FILE))
            continue
        if not every and is_made_by_engine(path, parent, name, status, marks):
            continue
        yield from tar_entry(path, parent, name, status, first_names)
        if stat.S_ISDIR(status.st_mode) and is_opaque(parent, name, marks):
            yield header(tar.Entry(path + b"/" + OPAQUE, tar.FILE))
    yield END


def tar_entry(
    path: bytes,
    parent: int,
    name: bytes,
    status: os.stat_result,
    first_names: dict[tuple[int, int], bytes],
    latest: int | None = None,
) -> Iterator[bytes]:
    """One entry as it is on the disk; a further name of an inode in `first_names` becomes a hard link to the first.

    No time is later than `latest`, in nanoseconds since the epoch.
    """
    kind = _KINDS.get(stat.S_IFMT(status.st_mode))
    if kind is None:
        return
    entry = tar.Entry(path, kind, mode=stat.S_IMODE(status.st_mode))
    entry.uid, entry.gid = status.st_uid, status.st_gid
    entry.mtime = status.st_mtime_ns if latest is None else min(status.st_mtime_ns, latest)
    if status.st_nlink > 1 and kind != tar.DIRECTORY:
        first = first_names.setdefault((status.st_dev, status.st_ino), path)
        if first != path:
            entry.kind, entry.link = tar.HARD_LINK, first
            yield header(entry)
            return
    if kind == tar.SYMLINK:
        try:
            entry.link = os.readlink(name, dir_fd=parent)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.EINVAL):
                return  # gone, or no link any more, since it was listed
            raise
    elif kind in (tar.CHARACTER, tar.BLOCK_DEVICE):
        entry.major, entry.minor = os.major(status.st_rdev), os.minor(status.st_rdev)
    elif kind == tar.FILE:
        yield from _file(entry, parent, name)
        return
    elif kind == tar.DIRECTORY:
        entry.xattrs = _directory_xattrs(parent, name)
    yield header(entry)


def _directory_xattrs(parent: int, name: bytes) -> dict[bytes, bytes]:
    try:
        descriptor = os.open(name, _DIRECTORY, dir_fd=parent)
    except OSError as error:
        if error.errno in _GONE:
            return {}
        raise
    try:
        return kept_xattrs(descriptor)
    finally:
        os.close(descriptor)


def _file(entry: tar.Entry, parent: int, name: bytes) -> Iterator[bytes]:
    """A regular file. Its size is what it is when it is opened: what a writer adds or cuts meanwhile does not show."""
    try:
        descriptor = os.open(name, _FILE, dir_fd=parent)
    except OSError as error:
        if error.errno in _GONE:
            return  # gone, or swapped for a link or a special file, since it was listed
        raise
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            return
        entry.size = status.st_size
        entry.xattrs = kept_xattrs(descriptor)
        yield header(entry)
        left = entry.size
        while left:
            chunk = os.read(descriptor, min(left, _CHUNK)) or bytes(min(left, _CHUNK))
            left -= len(chunk)
            yield chunk
        yield padding(entry.size)
    finally:
        os.close(descriptor)


def is_made_by_engine(
    path: bytes, parent: int, name: bytes, status: os.stat_result, marks: Marks | None = None
) -> bool:
    """Whether the entry is a place for a mount that the engine made at a start, and nothing was put there since.

    Docker keeps these in a layer of its own below the container's, so that they are no change of the container's.
    """
    if stat.S_ISREG(status.st_mode):
        return path in MADE_FILES and status.st_size == 0
    if path not in MADE_DIRECTORIES or not stat.S_ISDIR(status.st_mode):
        return False
    directory = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)
    try:
        return not unmarked(directory, marks)
    finally:
        os.close(directory)


def unmarked(directory: int, marks: Marks | None) -> set[bytes]:
    """The names in a directory of a layer, whiteouts too, without the files that mark the directory itself."""
    names = {os.fsencode(name) for name in os.listdir(directory)}
    if marks is None:
        return names
    found = {name: os.stat(name, dir_fd=directory, follow_symlinks=False) for name in names}
    return {name for name, status in found.items() if marks.hidden(name, status) != b""}


def is_opaque(parent: int, name: bytes, marks: Marks) -> bool:
    """Whether nothing of the layers below shows in the directory `name` of an overlay's upper layer."""
    descriptor = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)
    try:
        return marks.is_opaque(descriptor)
    finally:
        os.close(descriptor)


def kept_xattrs(file: int | bytes) -> dict[bytes, bytes]:
    """What unpacking would set again (`inodes.is_kept`): capabilities, ACLs, `user.*`. By a readable descriptor or a name."""
    try:
        names = os.listxattr(file)
    except OSError as error:
        if error.errno == errno.ENOTSUP:
            return {}
        raise
    found = {key: _xattr(file, key) for key in map(os.fsencode, names) if is_kept(key)}
    return {key: value for key, value in found.items() if value is not None}


def _xattr(file: int | bytes, name: bytes) -> bytes | None:
    try:
        return os.getxattr(file, name)
    except OSError as error:
        if error.errno in (errno.ENODATA, errno.ENOTSUP):
            return None
        raise
