"""How a process is run: sched_setattr(2), ioprio_set(2), personality(2), set_mempolicy(2)."""

from __future__ import annotations

import ctypes

from sampan.kernel.calls import check, libc_function, system_call

_sched_setattr = system_call("sched_setattr", ctypes.c_int, ctypes.c_void_p, ctypes.c_uint)
_ioprio_set = system_call("ioprio_set", ctypes.c_int, ctypes.c_int, ctypes.c_int)
_set_mempolicy = system_call("set_mempolicy", ctypes.c_int, ctypes.c_void_p, ctypes.c_ulong)
_personality = libc_function("personality", ctypes.c_ulong)

_WHO_PROCESS = 1
_CLASS_SHIFT = 13
_WORD_BITS = 64


class _SchedAttr(ctypes.Structure):
    _fields_ = (
        ("size", ctypes.c_uint32),
        ("policy", ctypes.c_uint32),
        ("flags", ctypes.c_uint64),
        ("nice", ctypes.c_int32),
        ("priority", ctypes.c_uint32),
        ("runtime", ctypes.c_uint64),
        ("deadline", ctypes.c_uint64),
        ("period", ctypes.c_uint64),
    )


def sched_setattr(
    pid: int, policy: int, flags: int, nice: int, priority: int, times: tuple[int, int, int] = (0, 0, 0)
) -> None:
    """sched_setattr(2). `times` are runtime, deadline and period of SCHED_DEADLINE in nanoseconds.

    Raises PermissionError without CAP_SYS_NICE, OSError EINVAL for what the policy does not allow.
    """
    asked = _SchedAttr(ctypes.sizeof(_SchedAttr), policy, flags, nice, priority, *times)
    check(_sched_setattr(pid, ctypes.byref(asked), 0), "sched_setattr", pid, policy, flags, nice, priority, *times)


def ioprio_set(pid: int, io_class: int, priority: int) -> None:
    """ioprio_set(2) on one process. Raises PermissionError for the real-time class without CAP_SYS_NICE."""
    value = io_class << _CLASS_SHIFT | priority
    check(_ioprio_set(_WHO_PROCESS, pid, value), "ioprio_set", pid, io_class, priority)


def personality(domain: int) -> None:
    """personality(2): the execution domain of this process and of all that it starts."""
    check(_personality(domain), "personality", domain)


def set_mempolicy(mode: int, nodes: frozenset[int]) -> None:
    """set_mempolicy(2), for this process and all that it starts. `mode` has its flags in it. Raises OSError."""
    words = max(nodes, default=0) // _WORD_BITS + 1
    mask = (ctypes.c_uint64 * words)()
    for node in nodes:
        mask[node // _WORD_BITS] |= 1 << node % _WORD_BITS
    # One more than there are bits: the kernel counts it down (get_nodes() in mm/mempolicy.c).
    length = words * _WORD_BITS + 1 if nodes else 0
    check(_set_mempolicy(mode, ctypes.byref(mask) if nodes else None, length), "set_mempolicy", mode, sorted(nodes))
