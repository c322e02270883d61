"""Subvolumes of btrfs, trees of their own inside a file system, made and copied in one step: <linux/btrfs.h>, btrfs(5).

A subvolume looks like a directory with another device number and the inode 256. A file cannot be linked or renamed from one to
another. Any program may make one where it may make a directory.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct

BTRFS_SUPER_MAGIC = 0x9123683E
_FIRST_FREE_OBJECTID = 256

# struct btrfs_ioctl_vol_args_v2: fd, transid, flags, four unused words, a name.
_ARGUMENTS = struct.Struct("=qQQ32x4040s")
_NAME_MAX = 255
_SNAP_CREATE_V2 = 0x50009417
_SUBVOL_CREATE_V2 = 0x50009418
_SUBVOL_GETFLAGS = 0x80089419
_SUBVOL_SETFLAGS = 0x4008941A
_GET_SUBVOL_ROOTREF = 0xD000943D
_SNAP_DESTROY_V2 = 0x5000943F
_FLAGS = struct.Struct("=Q")
_READ_ONLY = 1 << 1
# struct btrfs_ioctl_get_subvol_rootref_args: the least id wanted, 255 pairs of ids, how many there are.
_ROOTREFS = struct.Struct("=Q4080xB7x")


def create_subvolume(parent: int, name: bytes) -> None:
    """BTRFS_IOC_SUBVOL_CREATE_V2: an empty subvolume `name` in the directory `parent`. Raises OSError (ENOTTY: no btrfs)."""
    _call(_SUBVOL_CREATE_V2, "SUBVOL_CREATE_V2", parent, name, 0)


def snapshot_subvolume(source: int, parent: int, name: bytes) -> None:
    """BTRFS_IOC_SNAP_CREATE_V2: `name` in the directory `parent` becomes a copy of the subvolume `source` that can be written to.

    Inodes keep numbers and times. A subvolume inside `source` is an empty directory in the copy. Raises OSError (EINVAL where
    `source` is no subvolume's root).
    """
    _call(_SNAP_CREATE_V2, "SNAP_CREATE_V2", parent, name, source)


def destroy_subvolume(parent: int, name: bytes) -> None:
    """BTRFS_IOC_SNAP_DESTROY_V2: the subvolume `name` in the directory `parent` is gone, full or not; its room is free later.

    Raises OSError: ENOTEMPTY where it has subvolumes in it, EPERM without CAP_SYS_ADMIN in the first user namespace (unless the
    file system is mounted with `user_subvol_rm_allowed`), ENOTTY before Linux 5.7.
    """
    _call(_SNAP_DESTROY_V2, "SNAP_DESTROY_V2", parent, name, 0)


def has_subvolumes(subvolume: int) -> bool:
    """BTRFS_IOC_GET_SUBVOL_ROOTREF: whether subvolumes lie in the one whose root `subvolume` is. Raises OSError."""
    found = bytearray(_ROOTREFS.size)
    try:
        fcntl.ioctl(subvolume, _GET_SUBVOL_ROOTREF, found)
    except OSError as error:
        if error.errno == errno.EOVERFLOW:  # more than the answer has room for
            return True
        raise
    return bool(_ROOTREFS.unpack(found)[1])


def make_subvolume_writable(subvolume: int) -> None:
    """BTRFS_IOC_SUBVOL_SETFLAGS: take BTRFS_SUBVOL_RDONLY from the subvolume whose root `subvolume` is. Raises OSError."""
    (flags,) = _FLAGS.unpack(fcntl.ioctl(subvolume, _SUBVOL_GETFLAGS, bytes(_FLAGS.size)))
    if flags & _READ_ONLY:
        fcntl.ioctl(subvolume, _SUBVOL_SETFLAGS, _FLAGS.pack(flags & ~_READ_ONLY))


def is_subvolume(status: os.stat_result, file_system: int) -> bool:
    """Whether fstat(2) and the file system's type are those of a subvolume's root."""
    return file_system == BTRFS_SUPER_MAGIC and status.st_ino == _FIRST_FREE_OBJECTID


def _call(request: int, shown: str, parent: int, name: bytes, source: int) -> None:
    if not name or len(name) > _NAME_MAX or b"/" in name or b"\0" in name:
        raise OSError(errno.EINVAL, f"BTRFS_IOC_{shown}: no name for a subvolume", os.fsdecode(name))
    try:
        # Written back to: what is longer than a kilobyte is passed where it lies.
        fcntl.ioctl(parent, request, bytearray(_ARGUMENTS.pack(source, 0, 0, name)))
    except OSError as error:
        raise OSError(error.errno, f"{error.strerror}: BTRFS_IOC_{shown}", os.fsdecode(name)) from error
