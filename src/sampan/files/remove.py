"""Removal of a directory tree by descriptors: never follows a link, never leaves the tree, whatever changes meanwhile."""

from __future__ import annotations

import errno
import os

from sampan.files.paths import check_component
from sampan.kernel.btrfs import destroy_subvolume, is_subvolume, make_subvolume_writable
from sampan.kernel.files import Resolve, file_system_type, openat2

_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
# A directory that somebody fills while it is emptied is given up after so many passes.
_PASSES = 16
_SAME_MOUNT = Resolve.BENEATH | Resolve.NO_SYMLINKS | Resolve.NO_XDEV
_NOT_AT_ONCE = frozenset((errno.ENOTEMPTY, errno.EPERM, errno.EACCES, errno.ENOTTY))
"""A subvolume that holds others, one that not everybody may destroy, a kernel without the call: it is emptied like a directory."""


def remove_tree(parent: int, name: bytes) -> None:
    """Remove the entry `name` of the directory `parent`, and all below where it is a directory. Absent already: no fault.

    Does not recurse on the stack, holds at most three descriptors, does not enter mounts that are not directories of the
    tree's own file system. Subvolumes of btrfs, which a program in a container may make, go as a whole.
    Raises OSError (EBUSY for a mount point, EXDEV for another file system below).
    """
    check_component(name)
    try:
        os.unlink(name, dir_fd=parent)
        return
    except FileNotFoundError:
        return
    except (IsADirectoryError, PermissionError) as error:
        if error.errno not in (errno.EISDIR, errno.EPERM):
            raise
    for _ in range(_PASSES):
        try:
            if not _destroyed(parent, name):
                _empty(parent, name)
                os.rmdir(name, dir_fd=parent)
            return
        except FileNotFoundError:
            return
        except OSError as error:
            if error.errno != errno.ENOTEMPTY:
                raise
    raise OSError(errno.ENOTEMPTY, "somebody keeps filling the directory", os.fsdecode(name))


def empty_directory(directory: int) -> None:
    """Remove everything in `directory` (a readable descriptor), which itself stays. Raises OSError."""
    with os.scandir(directory) as entries:
        names = [os.fsencode(entry.name) for entry in entries]
    for name in names:
        remove_tree(directory, name)


def _empty(parent: int, name: bytes) -> None:
    """Empty the directory `name`, deepest first. Goes down by name and up by `..`, checked by inode against a swap."""
    current = os.open(name, _OPEN, dir_fd=parent)
    try:
        device = os.fstat(current).st_dev
        # For each directory on the way down: its name, its parent's inode and device, and the parent's directories still to
        # do. A depth of millions costs memory, not stack.
        path: list[tuple[bytes, int, int, list[bytes]]] = []
        waiting = _unlink_files(current)
        while waiting or path:
            if waiting:
                below = waiting.pop()
                inode = os.fstat(current).st_ino
                entered = os.open(below, _OPEN, dir_fd=current)
                if os.fstat(entered).st_dev != device:
                    os.close(entered)
                    if _destroyed(current, below):
                        continue
                    entered = _subvolume(current, below)
                    if entered < 0:
                        raise OSError(errno.EXDEV, "another file system is mounted below", os.fsdecode(below))
                current = _moved(current, entered)
                path.append((below, inode, device, waiting))
                device = os.fstat(current).st_dev
                waiting = _unlink_files(current)
                continue
            done, inode, device, waiting = path.pop()
            current = _moved(current, os.open(b"..", _OPEN, dir_fd=current))
            if os.fstat(current).st_ino != inode:
                raise OSError(errno.EAGAIN, "a directory was moved while it was being removed", os.fsdecode(done))
            os.rmdir(done, dir_fd=current)
    finally:
        os.close(current)


def _subvolume(parent: int, name: bytes) -> int:
    """The root of the subvolume `name`, readable and in this mount; -1 where it is something else. Raises OSError."""
    try:
        entered = openat2(parent, name, _OPEN, _SAME_MOUNT)
    except OSError as error:
        if error.errno in (errno.EXDEV, errno.ELOOP, errno.ENOTDIR):
            return -1
        raise
    if is_subvolume(os.fstat(entered), file_system_type(entered)):
        return entered
    os.close(entered)
    return -1


def _destroyed(parent: int, name: bytes) -> bool:
    """Whether `name` was a subvolume, and is gone. One that has to be emptied can be written to then. Raises OSError."""
    entered = _subvolume(parent, name)
    if entered < 0:
        return False
    try:
        destroy_subvolume(parent, name)
    except OSError as error:
        if error.errno not in _NOT_AT_ONCE:
            raise
        make_subvolume_writable(entered)
        return False
    finally:
        os.close(entered)
    return True


def _moved(left: int, entered: int) -> int:
    os.close(left)
    return entered


def _unlink_files(directory: int) -> list[bytes]:
    """Unlink all that is no directory; the names of the directories."""
    directories = []
    with os.scandir(directory) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                directories.append(os.fsencode(entry.name))
            else:
                os.unlink(entry.name, dir_fd=directory)
    return directories
