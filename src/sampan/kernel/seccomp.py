"""seccomp(2): installing a compiled filter. How one is compiled is the runtime's business."""

from __future__ import annotations

import ctypes
import enum

from sampan.kernel.calls import check, system_call


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


_seccomp = system_call("seccomp", ctypes.c_uint, ctypes.c_uint, ctypes.c_void_p)
_SET_MODE_FILTER = 1
_INSTRUCTION = 8


class FilterFlag(enum.IntFlag):
    """SECCOMP_FILTER_FLAG_* (seccomp(2))."""

    TSYNC = 1 << 0
    LOG = 1 << 1
    SPEC_ALLOW = 1 << 2
    NEW_LISTENER = 1 << 3
    WAIT_KILLABLE_RECV = 1 << 5


def install_filter(program: bytes, flags: FilterFlag = FilterFlag(0)) -> int:  # noqa: B008 - an immutable flag
    """Install `program` (an array of `struct sock_filter`) for this thread and all it starts.

    With NEW_LISTENER a descriptor that hears of calls which the filter answers with a notification, close-on-exec; else 0.
    Needs CAP_SYS_ADMIN in the user namespace or no_new_privs; raises OSError EINVAL for a program the kernel rejects.
    """
    room = ctypes.create_string_buffer(program, len(program))
    described = _Program(len(program) // _INSTRUCTION, ctypes.addressof(room))
    return check(_seccomp(_SET_MODE_FILTER, flags, ctypes.byref(described)), "seccomp", "SET_MODE_FILTER", len(program))
