"""Attributes of a directory that only its file system knows: ioctl_iflags(2)."""

import errno
import fcntl
import struct

_FS_IOC_GETFLAGS = 0x80086601
_FS_IOC_SETFLAGS = 0x40086602
_FS_TOPDIR_FL = 0x00020000
# The numbers are made with `long`, what is passed is an int (ioctl_iflags(2), NOTES).
_FLAGS = struct.Struct("=i4x")
_ABSENT = frozenset((errno.ENOTTY, errno.EOPNOTSUPP, errno.EINVAL))


def set_top_directory(directory: int) -> bool:
    """FS_TOPDIR_FL (`chattr +T`): what is made in `directory`, a readable descriptor, are trees that have nothing in common.

    ext2 to ext4 then look for the best block group for each, as far apart as they can (the Orlov allocator). Kept on the disk,
    not handed on. False where the file system knows no such thing. Raises OSError.
    """
    try:
        (flags,) = _FLAGS.unpack(fcntl.ioctl(directory, _FS_IOC_GETFLAGS, bytes(_FLAGS.size)))
        if not flags & _FS_TOPDIR_FL:
            fcntl.ioctl(directory, _FS_IOC_SETFLAGS, _FLAGS.pack(flags | _FS_TOPDIR_FL))
    except OSError as error:
        if error.errno not in _ABSENT:
            raise
        return False
    return True
