"""A directory tree copied as it is: owners, modes, times, attributes, hard links, devices; by descriptors, following no link."""

import errno
import os
import stat
from collections.abc import Callable
from typing import NamedTuple

from sampan.files.walk import walk
from sampan.kernel.files import Resolve, openat2

_PLAIN = Resolve.BENEATH | Resolve.NO_SYMLINKS | Resolve.NO_XDEV
_SOURCE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_CHUNK = 1 << 30
# What belongs to the file rather than to the machine or to an overlay below it.
_KEPT = ("security.capability", "system.posix_acl_access", "system.posix_acl_default")


class Attributes(NamedTuple):
    """What a copy is to be like. Times in nanoseconds."""

    uid: int
    gid: int
    mode: int
    """permissions and the set-id and sticky bits"""
    atime: int
    mtime: int


def own_attributes(status: os.stat_result) -> Attributes:
    """As it is."""
    mode = stat.S_IMODE(status.st_mode)
    return Attributes(status.st_uid, status.st_gid, mode, status.st_atime_ns, status.st_mtime_ns)


def copy_tree(source: int, target: int, share: bool = False) -> None:
    """Copy what is in the directory `source` into the empty directory `target` (readable descriptors), and its attributes.

    `share` gives the target hard links to the source's files where the file system allows it: for trees that are never
    written to. Sockets are left out. Raises OSError; what was copied so far stays.
    """
    first_names: dict[tuple[int, int], bytes] = {}
    directories: list[tuple[bytes, os.stat_result]] = [(b"", os.fstat(source))]
    parent_path: bytes | None = None
    parent = -1
    try:
        for path, directory, name, status in walk(source):
            above = path.rpartition(b"/")[0]
            if above != parent_path:
                if parent >= 0:
                    os.close(parent)
                parent_path, parent = above, openat2(target, above or b".", _DIRECTORY, _PLAIN)
            if stat.S_ISDIR(status.st_mode):
                os.mkdir(name, 0o700, dir_fd=parent)
                directories.append((path, status))
                continue
            identity = (status.st_dev, status.st_ino)
            if status.st_nlink > 1 and identity in first_names:
                os.link(first_names[identity], name, src_dir_fd=target, dst_dir_fd=parent, follow_symlinks=False)
                continue
            if not (share and _shared(directory, parent, name)):
                copy_entry(directory, name, parent, name, status)
            if status.st_nlink > 1:
                first_names[identity] = path
    finally:
        if parent >= 0:
            os.close(parent)
    for path, status in reversed(directories):
        _describe_directory(source, target, path, status)


def _shared(directory: int, parent: int, name: bytes) -> bool:
    try:
        os.link(name, name, src_dir_fd=directory, dst_dir_fd=parent, follow_symlinks=False)
    except OSError as error:
        if error.errno in (errno.EXDEV, errno.EMLINK, errno.EPERM, errno.EOPNOTSUPP):
            return False
        raise
    return True


def copy_entry(
    directory: int,
    name: bytes,
    parent: int,
    new: bytes,
    status: os.stat_result,
    attributes: Callable[[os.stat_result], Attributes] = own_attributes,
) -> None:
    """Copy `name` in `directory`, which is no directory itself and whose lstat(2) is `status`, to the free name `new` in `parent`.

    Without a name `directory` is itself a descriptor of what is copied, of any kind but a link. `attributes` says what the copy is
    to be like. A socket is left out. Raises OSError.
    """
    kind = stat.S_IFMT(status.st_mode)
    if kind == stat.S_IFREG:
        _copy_file(directory, name, parent, new, attributes)
        return
    if kind == stat.S_IFSOCK:
        return
    if kind == stat.S_IFLNK:
        os.symlink(os.readlink(name, dir_fd=directory), new, dir_fd=parent)
    else:
        os.mknod(new, kind | 0o600, status.st_rdev, dir_fd=parent)
    wanted = attributes(status)
    os.chown(new, wanted.uid, wanted.gid, dir_fd=parent, follow_symlinks=False)
    if kind != stat.S_IFLNK:
        # The node was made a moment ago in a directory that nobody else knows: it is no link.
        os.chmod(new, wanted.mode, dir_fd=parent)
    os.utime(new, ns=(wanted.atime, wanted.mtime), dir_fd=parent, follow_symlinks=False)


def _copy_file(
    directory: int, name: bytes, parent: int, new: bytes, attributes: Callable[[os.stat_result], Attributes]
) -> None:
    if name:
        reader = os.open(name, _SOURCE, dir_fd=directory)
    else:
        reader = os.open(f"/proc/self/fd/{directory}", os.O_RDONLY | os.O_NONBLOCK)
    try:
        # What is copied is what was opened, whatever the name means by now (CVE-2018-15664).
        status = os.fstat(reader)
        if not stat.S_ISREG(status.st_mode):
            return
        writer = os.open(new, _NEW, 0o600, dir_fd=parent)
        try:
            copy_content(reader, writer, status)
            describe(reader, writer, attributes(status))
        finally:
            os.close(writer)
    finally:
        os.close(reader)


def copy_content(reader: int, writer: int, status: os.stat_result) -> None:
    """What the file `reader` (with this `status`) holds, into the empty file `writer`; holes stay holes. Raises OSError."""
    if status.st_blocks * 512 < status.st_size:
        _copy_regions(reader, writer, status.st_size)
        return
    done = 0
    while moved := _moved(reader, writer):
        done += moved
        if done == status.st_size:
            return


def _copy_regions(reader: int, writer: int, size: int) -> None:
    """A file of terabytes that holds nothing costs nothing."""
    os.ftruncate(writer, size)
    at = 0
    while at < size:
        try:
            at = os.lseek(reader, at, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # nothing but a hole follows
                return
            raise
        end = os.lseek(reader, at, os.SEEK_HOLE)
        os.lseek(reader, at, os.SEEK_SET)
        os.lseek(writer, at, os.SEEK_SET)
        while at < end and (moved := _moved(reader, writer, end - at)):
            at += moved
        if at < end:
            return  # it has become shorter


def _moved(reader: int, writer: int, most: int = _CHUNK) -> int:
    most = min(most, _CHUNK)
    try:
        return os.copy_file_range(reader, writer, most)
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS):
            raise
        return os.sendfile(writer, reader, None, most)


def describe(source: int, target: int, wanted: Attributes) -> None:
    """Give the file or directory `target` owner, mode, `source`'s extended attributes, times. Raises OSError.

    In this order, because chown(2) clears modes and capabilities.
    """
    os.fchown(target, wanted.uid, wanted.gid)
    os.fchmod(target, wanted.mode)
    try:
        names = os.listxattr(source)
    except OSError as error:
        if error.errno != errno.ENOTSUP:
            raise
        names = []
    for name in names:
        if name in _KEPT or (name.startswith("user.") and ".overlay." not in name):
            try:
                os.setxattr(target, name, os.getxattr(source, name))
            except OSError as error:
                if error.errno not in (errno.ENOTSUP, errno.ENODATA):
                    raise
    os.utime(target, ns=(wanted.atime, wanted.mtime))


def _describe_directory(source: int, target: int, path: bytes, status: os.stat_result) -> None:
    original = openat2(source, path or b".", _DIRECTORY, _PLAIN)
    try:
        copy = openat2(target, path or b".", _DIRECTORY, _PLAIN)
        try:
            describe(original, copy, own_attributes(status))
        finally:
            os.close(copy)
    finally:
        os.close(original)
