"""Seccomp filters of the unpacker and of fuse-overlayfs: what they never need, and what a taken-over one would want.

A list of refusals (EPERM), since which other calls a libc makes for reading and writing files differs from one to the next.
Numbers are those of the machine; one without a table raises, so that no layer is unpacked without a filter.
"""

from __future__ import annotations

import errno
import os
import struct

_X86_64 = {
    "socket": 41, "connect": 42, "bind": 49, "listen": 50, "socketpair": 53, "clone": 56, "fork": 57, "vfork": 58,
    "execve": 59, "kill": 62, "ptrace": 101, "rt_sigqueueinfo": 129, "pivot_root": 155, "chroot": 161, "mount": 165,
    "umount2": 166, "init_module": 175, "tkill": 200, "tgkill": 234, "kexec_load": 246, "add_key": 248, "request_key": 249,
    "keyctl": 250, "unshare": 272, "rt_tgsigqueueinfo": 297, "perf_event_open": 298, "open_by_handle_at": 304, "setns": 308,
    "process_vm_readv": 310, "process_vm_writev": 311, "kcmp": 312, "finit_module": 313, "bpf": 321, "execveat": 322,
    "userfaultfd": 323,
}  # fmt: skip
_AARCH64 = {
    "umount2": 39, "mount": 40, "pivot_root": 41, "chroot": 51, "unshare": 97, "kexec_load": 104, "init_module": 105,
    "ptrace": 117, "kill": 129, "tkill": 130, "tgkill": 131, "rt_sigqueueinfo": 138, "socket": 198, "socketpair": 199,
    "bind": 200, "listen": 201, "connect": 203, "add_key": 217, "request_key": 218, "keyctl": 219, "clone": 220,
    "execve": 221, "rt_tgsigqueueinfo": 240, "perf_event_open": 241, "open_by_handle_at": 265, "setns": 268,
    "process_vm_readv": 270, "process_vm_writev": 271, "kcmp": 272, "finit_module": 273, "bpf": 280, "execveat": 281,
    "userfaultfd": 282,
}  # fmt: skip
_EVERYWHERE = {
    "pidfd_send_signal": 424, "io_uring_setup": 425, "open_tree": 428, "move_mount": 429, "fsopen": 430, "fspick": 433,
    "pidfd_open": 434, "clone3": 435, "pidfd_getfd": 438, "mount_setattr": 442,
}  # fmt: skip
# The first number is what linux/audit.h calls AUDIT_ARCH.
_MACHINES = {"x86_64": (0xC000003E, _X86_64), "aarch64": (0xC00000B7, _AARCH64)}

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_KILL, _ERRNO, _ALLOW = 0x80000000, 0x00050000, 0x7FFF0000
_X32 = 0x40000000
_NAMESPACES = 0x7E020000
"""The flags of clone(2) that make namespaces, CLONE_NEW*."""


def program(machine: str = "") -> bytes:
    """The filter for this machine, as `kernel.seccomp.install_filter` takes it. Raises OSError ENOSYS without a table."""
    architecture, own = _table(machine)
    return _assembled(architecture, sorted({*own.values(), *_EVERYWHERE.values()}))


def serving_program(machine: str = "") -> bytes:
    """The same for a program that is executed afterwards and makes threads, but no namespaces. Raises as `program`.

    clone3(2), whose flags a filter cannot read, does not exist for it (ENOSYS): a libc then takes clone(2).
    """
    architecture, own = _table(machine)
    clone, clone3 = own["clone"], _EVERYWHERE["clone3"]
    numbers = {*own.values(), *_EVERYWHERE.values()} - {clone, clone3, own["execve"]}
    first = [
        (_EQUAL, 0, 1, clone3),
        (_RETURN, 0, 0, _ERRNO | errno.ENOSYS),
        (_EQUAL, 0, 4, clone),
        (_LOAD, 0, 0, 16),  # the flags, which are the first argument; not a call number any more
        (_ANY_BIT, 0, 1, _NAMESPACES),
        (_RETURN, 0, 0, _ERRNO | errno.EPERM),
        (_RETURN, 0, 0, _ALLOW),
    ]
    return _assembled(architecture, sorted(numbers), first)


def _table(machine: str) -> tuple[int, dict[str, int]]:
    found = _MACHINES.get(machine or os.uname().machine)
    if found is None:
        raise OSError(errno.ENOSYS, f"no system call numbers for the machine {machine or os.uname().machine!r}")
    return found


def _assembled(architecture: int, numbers: list[int], first: list[tuple[int, int, int, int]] | None = None) -> bytes:
    """EPERM for `numbers`. `first` is put before the comparisons, with the call's number loaded."""
    first = first or []
    refuse = len(numbers) + 1  # the instruction behind all comparisons and the permission
    code = [
        (_LOAD, 0, 0, 4),
        (_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, 0),
        (_AT_LEAST, refuse + len(first), 0, _X32),
        *first,
    ]
    code += [(_EQUAL, refuse - at - 1, 0, number) for at, number in enumerate(numbers)]
    code += [(_RETURN, 0, 0, _ALLOW), (_RETURN, 0, 0, _ERRNO | errno.EPERM)]
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in code)
