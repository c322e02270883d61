"""A directory tree copied as it is: owners, modes, times, attributes, hard links, devices; by descriptors, following no link."""

import errno
import os
import stat

from sampan.files.walk import walk
from sampan.kernel.files import Resolve, openat2

_PLAIN = Resolve.BENEATH | Resolve.NO_SYMLINKS | Resolve.NO_XDEV
_SOURCE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_CHUNK = 1 << 30
# What belongs to the file rather than to the machine or to an overlay below it.
_KEPT = ("security.capability", "system.posix_acl_access", "system.posix_acl_default")


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
                _copy_entry(directory, parent, name, status)
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


def _copy_entry(directory: int, parent: int, name: bytes, status: os.stat_result) -> None:
    kind = stat.S_IFMT(status.st_mode)
    if kind == stat.S_IFREG:
        _copy_file(directory, parent, name)
        return
    if kind == stat.S_IFSOCK:
        return
    if kind == stat.S_IFLNK:
        os.symlink(os.readlink(name, dir_fd=directory), name, dir_fd=parent)
    else:
        os.mknod(name, kind | 0o600, status.st_rdev, dir_fd=parent)
    os.chown(name, status.st_uid, status.st_gid, dir_fd=parent, follow_symlinks=False)
    if kind != stat.S_IFLNK:
        # The node was made a moment ago in a directory that nobody else knows: it is no link.
        os.chmod(name, stat.S_IMODE(status.st_mode), dir_fd=parent)
    os.utime(name, ns=(status.st_atime_ns, status.st_mtime_ns), dir_fd=parent, follow_symlinks=False)


def _copy_file(directory: int, parent: int, name: bytes) -> None:
    reader = os.open(name, _SOURCE, dir_fd=directory)
    try:
        # What is copied is what was opened, whatever the name means by now (CVE-2018-15664).
        status = os.fstat(reader)
        if not stat.S_ISREG(status.st_mode):
            return
        writer = os.open(name, _NEW, 0o600, dir_fd=parent)
        try:
            while _moved(reader, writer):
                pass
            _describe(reader, writer, status)
        finally:
            os.close(writer)
    finally:
        os.close(reader)


def _moved(reader: int, writer: int) -> int:
    try:
        return os.copy_file_range(reader, writer, _CHUNK)
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS):
            raise
        return os.sendfile(writer, reader, None, _CHUNK)


def _describe(source: int, target: int, status: os.stat_result) -> None:
    """Owner, mode, attributes, times: in this order, because chown(2) clears modes and capabilities."""
    os.fchown(target, status.st_uid, status.st_gid)
    os.fchmod(target, stat.S_IMODE(status.st_mode))
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
    os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))


def _describe_directory(source: int, target: int, path: bytes, status: os.stat_result) -> None:
    original = openat2(source, path or b".", _DIRECTORY, _PLAIN)
    try:
        copy = openat2(target, path or b".", _DIRECTORY, _PLAIN)
        try:
            _describe(original, copy, status)
        finally:
            os.close(copy)
    finally:
        os.close(original)
