"""Capabilities: capget(2), capset(2), the bounding and the ambient set (capabilities(7))."""

from __future__ import annotations

import ctypes
import enum
import functools

from sampan.kernel.calls import check, system_call
from sampan.kernel.process import Prctl, prctl


class Cap(enum.IntEnum):
    """Capability numbers; the names are those of capabilities(7) without `CAP_`."""

    CHOWN = 0
    DAC_OVERRIDE = 1
    DAC_READ_SEARCH = 2
    FOWNER = 3
    FSETID = 4
    KILL = 5
    SETGID = 6
    SETUID = 7
    SETPCAP = 8
    LINUX_IMMUTABLE = 9
    NET_BIND_SERVICE = 10
    NET_BROADCAST = 11
    NET_ADMIN = 12
    NET_RAW = 13
    IPC_LOCK = 14
    IPC_OWNER = 15
    SYS_MODULE = 16
    SYS_RAWIO = 17
    SYS_CHROOT = 18
    SYS_PTRACE = 19
    SYS_PACCT = 20
    SYS_ADMIN = 21
    SYS_BOOT = 22
    SYS_NICE = 23
    SYS_RESOURCE = 24
    SYS_TIME = 25
    SYS_TTY_CONFIG = 26
    MKNOD = 27
    LEASE = 28
    AUDIT_WRITE = 29
    AUDIT_CONTROL = 30
    SETFCAP = 31
    MAC_OVERRIDE = 32
    MAC_ADMIN = 33
    SYSLOG = 34
    WAKE_ALARM = 35
    BLOCK_SUSPEND = 36
    AUDIT_READ = 37
    PERFMON = 38
    BPF = 39
    CHECKPOINT_RESTORE = 40


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Data(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


_VERSION_3 = 0x20080522
_AMBIENT_RAISE = 2
_AMBIENT_CLEAR_ALL = 4

_capset = system_call("capset", ctypes.c_void_p, ctypes.c_void_p)
_capget = system_call("capget", ctypes.c_void_p, ctypes.c_void_p)


def capset(effective: int, permitted: int, inheritable: int) -> None:
    """capset(2) for this process; each argument is a mask with bit N for capability N."""
    header = _Header(_VERSION_3, 0)
    data = (_Data * 2)()
    for half in (0, 1):
        shift = 32 * half
        data[half] = _Data(
            effective >> shift & 0xFFFFFFFF, permitted >> shift & 0xFFFFFFFF, inheritable >> shift & 0xFFFFFFFF
        )
    check(_capset(ctypes.byref(header), data), "capset", hex(effective), hex(permitted), hex(inheritable))


def capget() -> tuple[int, int, int]:
    """capget(2) of this process: effective, permitted, inheritable masks."""
    header = _Header(_VERSION_3, 0)
    data = (_Data * 2)()
    check(_capget(ctypes.byref(header), data), "capget")
    return (
        data[0].effective | data[1].effective << 32,
        data[0].permitted | data[1].permitted << 32,
        data[0].inheritable | data[1].inheritable << 32,
    )


@functools.cache
def last_cap() -> int:
    """The highest capability number of the running kernel; read once."""
    with open("/proc/sys/kernel/cap_last_cap", "rb") as file:
        return int(file.read())


def drop_bounding(keep: int, last: int) -> None:
    """Take every capability up to `last` that is not in the mask `keep` out of the bounding set."""
    for number in range(last + 1):
        if not keep >> number & 1:
            prctl(Prctl.CAPBSET_DROP, number)


def clear_ambient() -> None:
    """prctl(PR_CAP_AMBIENT_CLEAR_ALL)."""
    prctl(Prctl.CAP_AMBIENT, _AMBIENT_CLEAR_ALL)


def raise_ambient(mask: int) -> None:
    """prctl(PR_CAP_AMBIENT_RAISE) for each bit; they must be permitted and inheritable already."""
    for number in range(mask.bit_length()):
        if mask >> number & 1:
            prctl(Prctl.CAP_AMBIENT, _AMBIENT_RAISE, number)
