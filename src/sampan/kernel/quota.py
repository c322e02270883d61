"""Project quotas: quotactl_fd(2), and the project of a directory, FS_IOC_FSSETXATTR (ioctl_xfs_fsgetxattr(2)).

What is made in a directory with FS_XFLAG_PROJINHERIT belongs to its project. ext4 (feature and mount option `prjquota`) and xfs
(mount option `pquota`) count each project's blocks and inodes, and refuse what is beyond its limits with EDQUOT or ENOSPC.
"""

from __future__ import annotations

import ctypes
import fcntl
import struct

from sampan.kernel.calls import check, system_call

_PRJQUOTA = 2
_SUBCMDSHIFT = 8
_Q_GETQUOTA = 0x800007
_Q_SETQUOTA = 0x800008
_Q_XGETQSTAT = (ord("X") << 8) + 5

_QIF_BLIMITS = 1
_FS_QUOTA_PDQ_ACCT = 1 << 4
_FS_QUOTA_PDQ_ENFD = 1 << 5
_FS_IOC_FSGETXATTR = 0x801C581F
_FS_IOC_FSSETXATTR = 0x401C5820
_FS_XFLAG_PROJINHERIT = 0x200
_FSXATTR = struct.Struct("=5I8x")
_QUOTA_BLOCK = 1024


class _Dqblk(ctypes.Structure):
    _fields_ = (
        ("bhardlimit", ctypes.c_uint64),
        ("bsoftlimit", ctypes.c_uint64),
        ("curspace", ctypes.c_uint64),
        ("ihardlimit", ctypes.c_uint64),
        ("isoftlimit", ctypes.c_uint64),
        ("curinodes", ctypes.c_uint64),
        ("btime", ctypes.c_uint64),
        ("itime", ctypes.c_uint64),
        ("valid", ctypes.c_uint32),
    )


class _QuotaStat(ctypes.Structure):
    """fs_quota_stat: only its flags are read; the rest is room for what the kernel writes."""

    _fields_ = (("version", ctypes.c_int8), ("flags", ctypes.c_uint16), ("rest", ctypes.c_uint8 * 252))


_quotactl_fd = system_call("quotactl_fd", ctypes.c_uint, ctypes.c_uint, ctypes.c_int, ctypes.c_void_p)


def _quotactl(descriptor: int, command: int, project: int, block: ctypes.Structure, name: str) -> None:
    number = ctypes.c_int((command << _SUBCMDSHIFT) | _PRJQUOTA).value & 0xFFFFFFFF
    check(
        _quotactl_fd(descriptor, number, project, ctypes.addressof(block)), "quotactl_fd", descriptor, name, project
    )  # fmt: skip


def project_quotas_enforced(descriptor: int) -> bool:
    """quotactl_fd(Q_XGETQSTAT) on the file system of `descriptor`. Raises OSError where it has no quotas at all (Linux 5.14)."""
    state = _QuotaStat(version=1)
    _quotactl(descriptor, _Q_XGETQSTAT, 0, state, "Q_XGETQSTAT")
    wanted = _FS_QUOTA_PDQ_ACCT | _FS_QUOTA_PDQ_ENFD
    return bool(state.flags & wanted == wanted)


def get_project_quota(descriptor: int, project: int) -> tuple[int, int, int]:
    """quotactl_fd(Q_GETQUOTA): bytes and inodes in use, and the most bytes allowed (0: no bound). ENOENT: an unused project."""
    block = _Dqblk()
    _quotactl(descriptor, _Q_GETQUOTA, project, block, "Q_GETQUOTA")
    return block.curspace, block.curinodes, block.bhardlimit * _QUOTA_BLOCK


def set_project_quota(descriptor: int, project: int, size: int) -> None:
    """quotactl_fd(Q_SETQUOTA): `size` bytes at most, rounded up to 1024; 0 for no bound."""
    blocks = -(-size // _QUOTA_BLOCK)
    block = _Dqblk(bhardlimit=blocks, bsoftlimit=blocks, valid=_QIF_BLIMITS)
    _quotactl(descriptor, _Q_SETQUOTA, project, block, "Q_SETQUOTA")


def get_project(descriptor: int) -> int:
    """FS_IOC_FSGETXATTR: the project of a file or directory, 0 for none. ENOTTY where the file system knows no projects."""
    return int(_FSXATTR.unpack(fcntl.ioctl(descriptor, _FS_IOC_FSGETXATTR, bytes(_FSXATTR.size)))[3])


def set_project(descriptor: int, project: int) -> None:
    """FS_IOC_FSSETXATTR: the directory, and all that is made in it from now on, belongs to `project`."""
    flags, *middle, _, cow = _FSXATTR.unpack(fcntl.ioctl(descriptor, _FS_IOC_FSGETXATTR, bytes(_FSXATTR.size)))
    fcntl.ioctl(
        descriptor, _FS_IOC_FSSETXATTR, _FSXATTR.pack(flags | _FS_XFLAG_PROJINHERIT, *middle, project, cow)
    )  # fmt: skip
