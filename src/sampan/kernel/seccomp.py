"""seccomp(2): installing a compiled filter. How one is compiled is the runtime's business."""

from __future__ import annotations

import ctypes

from sampan.kernel.calls import check, system_call


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


_seccomp = system_call("seccomp", ctypes.c_uint, ctypes.c_uint, ctypes.c_void_p)
_SET_MODE_FILTER = 1
_INSTRUCTION = 8


def install_filter(program: bytes) -> None:
    """Install `program` (an array of `struct sock_filter`) for this thread and all it starts.

    Needs CAP_SYS_ADMIN in the user namespace or no_new_privs; raises OSError EINVAL for a program the kernel rejects.
    """
    room = ctypes.create_string_buffer(program, len(program))
    described = _Program(len(program) // _INSTRUCTION, ctypes.addressof(room))
    check(_seccomp(_SET_MODE_FILTER, 0, ctypes.byref(described)), "seccomp", "SET_MODE_FILTER", len(program))
