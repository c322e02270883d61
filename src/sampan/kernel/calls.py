"""How a system call is made from here: the library handle, the number tables, and the one place that reads errno.

Every function of this room is built from `libc_function` or `system_call`, so argument and result types are always set and
a failed call always raises. Numbers are kept for each machine; a machine without a table raises when this module loads,
because a wrong number is another system call.
"""

from __future__ import annotations

import ctypes
import errno
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_libc = ctypes.CDLL(None, use_errno=True)
# The same library entered with the GIL held: for calls that duplicate the process, between CPython's own fork hooks.
_libc_with_gil = ctypes.PyDLL(None, use_errno=True)

# Calls added since Linux 5.1 have one number on every machine (man 2 syscalls); older ones do not.
_EVERYWHERE = {
    "pidfd_getfd": 438,
    "open_tree": 428,
    "move_mount": 429,
    "fsopen": 430,
    "fsconfig": 431,
    "fsmount": 432,
    "clone3": 435,
    "close_range": 436,
    "openat2": 437,
    "mount_setattr": 442,
    "quotactl_fd": 443,
    "landlock_create_ruleset": 444,
    "landlock_add_rule": 445,
    "landlock_restrict_self": 446,
}
_BY_MACHINE = {
    "x86_64": {
        "clone": 56,
        "pivot_root": 155,
        "capget": 125,
        "capset": 126,
        "keyctl": 250,
        "seccomp": 317,
        "bpf": 321,
        "execveat": 322,
        "ioprio_set": 251,
        "sched_setattr": 314,
        "set_mempolicy": 238,
    },
    "aarch64": {
        "clone": 220,
        "pivot_root": 41,
        "capget": 90,
        "capset": 91,
        "keyctl": 219,
        "seccomp": 277,
        "bpf": 280,
        "execveat": 281,
        "ioprio_set": 30,
        "sched_setattr": 274,
        "set_mempolicy": 237,
    },
}


def _numbers() -> dict[str, int]:
    machine = os.uname().machine
    table = _BY_MACHINE.get(machine)
    if table is None:
        raise OSError(
            errno.ENOSYS, f"no system call numbers for the machine {machine!r}; known: {', '.join(_BY_MACHINE)}"
        )
    return {**_EVERYWHERE, **table}


NUMBERS = _numbers()
"""System call numbers of this machine, by name."""


def libc_function(name: str, *argument_types: type, result: type = ctypes.c_int) -> Callable[..., int]:
    """The C library's function `name` with its types fixed. The caller passes the result to `check`."""
    # Subscription gives a new function object each time; attribute access would share one, and its types.
    function = _libc[name]
    function.argtypes = argument_types
    function.restype = result
    return function


def system_call(name: str, *argument_types: type, hold_gil: bool = False) -> Callable[..., int]:
    """The system call `name`, for which no library function is taken for granted. The caller passes the result to `check`.

    `hold_gil` is for calls after which two processes run this interpreter.
    """
    number = NUMBERS[name]
    function = (_libc_with_gil if hold_gil else _libc)["syscall"]
    function.argtypes = (ctypes.c_long, *argument_types)
    function.restype = ctypes.c_long

    def call(*arguments: object) -> int:
        result: int = function(number, *arguments)
        return result

    return call


def check(result: int, call: str, *operands: object) -> int:
    """`result`, unless it is -1: then an OSError (of errno's own subclass) that names the call and its operands.

    To be used on every call, at once: errno is a slot of ctypes that the next call overwrites.
    """
    if result == -1:
        number = ctypes.get_errno()
        text = ", ".join(_shown(operand) for operand in operands)
        raise OSError(number, f"{call}({text}): {os.strerror(number)}")
    return result


def _shown(operand: object) -> str:
    if isinstance(operand, bytes):
        return repr(os.fsdecode(operand))
    return repr(operand)
