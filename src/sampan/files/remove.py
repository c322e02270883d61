"""Removal of a directory tree by descriptors: never follows a link, never leaves the tree, whatever changes meanwhile."""

from __future__ import annotations

import errno
import os

from sampan.files.paths import check_component

_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
# A directory that somebody fills while it is emptied is given up after so many passes.
_PASSES = 16


def remove_tree(parent: int, name: bytes) -> None:
    """Remove the entry `name` of the directory `parent`, and all below where it is a directory. Absent already: no fault.

    Does not recurse on the stack, holds at most two descriptors, does not enter mounts that are not directories of the
    tree's own file system. Raises OSError (EBUSY for a mount point, EXDEV for another file system below).
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
        # For each directory on the way down: its name, its parent's inode, and the parent's directories still to do. A
        # depth of millions costs memory, not stack.
        path: list[tuple[bytes, int, list[bytes]]] = []
        waiting = _unlink_files(current)
        while waiting or path:
            if waiting:
                below = waiting.pop()
                inode = os.fstat(current).st_ino
                current = _moved(current, os.open(below, _OPEN, dir_fd=current))
                path.append((below, inode, waiting))
                if os.fstat(current).st_dev != device:
                    raise OSError(errno.EXDEV, "another file system is mounted below", os.fsdecode(below))
                waiting = _unlink_files(current)
                continue
            done, inode, waiting = path.pop()
            current = _moved(current, os.open(b"..", _OPEN, dir_fd=current))
            if os.fstat(current).st_ino != inode:
                raise OSError(errno.EAGAIN, "a directory was moved while it was being removed", os.fsdecode(done))
            os.rmdir(done, dir_fd=current)
    finally:
        os.close(current)


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
