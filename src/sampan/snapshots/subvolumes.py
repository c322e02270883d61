"""The driver btrfs: every layer and every container is a subvolume, which begins as a snapshot of the one below it.

What a snapshot holds takes no room until it is changed, and a file that was not changed has its inode's number and time of change.
A program in a container may make subvolumes of its own: they are not in a snapshot, so in a layer they become directories.
"""

import os
import stat
from pathlib import Path

from sampan.files.copying import copy_tree
from sampan.files.remove import remove_tree
from sampan.files.walk import open_plain, walk
from sampan.kernel.btrfs import (
    BTRFS_SUPER_MAGIC,
    create_subvolume,
    has_subvolumes,
    snapshot_subvolume,
)
from sampan.kernel.files import file_system_type
from sampan.snapshots.cloning import Trees
from sampan.snapshots.vfs import VfsSnapshotter

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY
_BESIDE = b".sampan-subvolume-"


def btrfs_snapshotter(data_root: Path) -> VfsSnapshotter:
    """The layers of the driver `btrfs` below `data_root`, which lies on btrfs."""
    return VfsSnapshotter(data_root, "btrfs", SUBVOLUMES)


def is_on_btrfs(place: Path) -> bool:
    """Whether subvolumes can be made in a directory. Raises OSError."""
    directory = os.open(place, _DIRECTORY)
    try:
        return file_system_type(directory) == BTRFS_SUPER_MAGIC
    finally:
        os.close(directory)


def _fresh(target: Path) -> None:
    parent = os.open(target.parent, _DIRECTORY)
    try:
        create_subvolume(parent, os.fsencode(target.name))
    finally:
        os.close(parent)


def _snapshot(source: Path, target: Path) -> None:
    taken = os.open(source, _DIRECTORY)
    try:
        parent = os.open(target.parent, _DIRECTORY)
        try:
            snapshot_subvolume(taken, parent, os.fsencode(target.name))
        finally:
            os.close(parent)
    finally:
        os.close(taken)


def _flatten(tree: Path) -> None:
    """Put directories with the same content in the place of the subvolumes in `tree`."""
    root = os.open(tree, _DIRECTORY)
    try:
        if not has_subvolumes(root):
            return
        device = os.fstat(root).st_dev
        # The outermost only: a copy holds what lay in those inside it, as directories.
        for path, parent, name, status in walk(root, enters=lambda below: _is_on(root, below, device)):
            if stat.S_ISDIR(status.st_mode) and status.st_dev != device:
                _replace(root, path, parent, name)
    finally:
        os.close(root)


def _is_on(root: int, path: bytes, device: int) -> bool:
    directory = open_plain(root, path)
    if directory < 0:
        return False
    try:
        return os.fstat(directory).st_dev == device
    finally:
        os.close(directory)


def _replace(root: int, path: bytes, parent: int, name: bytes) -> None:
    """The subvolume `name` of the directory `parent`, at `path` in `root`, becomes a directory; times above stay."""
    above = os.fstat(parent)
    beside = _BESIDE + os.urandom(6).hex().encode()
    source = open_plain(root, path)
    if source < 0:
        return
    try:
        os.mkdir(beside, 0o700, dir_fd=parent)
        target = os.open(beside, _DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)
        try:
            copy_tree(source, target)
        finally:
            os.close(target)
    finally:
        os.close(source)
    remove_tree(parent, name)
    os.rename(beside, name, src_dir_fd=parent, dst_dir_fd=parent)
    os.utime(parent, ns=(above.st_atime_ns, above.st_mtime_ns))


SUBVOLUMES = Trees(clone=_snapshot, layer=_snapshot, fresh=_fresh, settle=_flatten, keeps_inodes=True)
