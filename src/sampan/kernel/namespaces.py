"""Namespaces: unshare(2), setns(2), clone(2), clone3(2).

In a process with a second thread `unshare(NEWUSER)` and `setns` to a mount namespace fail with EINVAL: callers are the
runtime's single-threaded processes. Joining a network namespace is allowed to one thread of many, and a mount namespace to one
that has root and working directory to itself (`unshare(FS)`).
"""

from __future__ import annotations

import ctypes
import enum

from sampan.kernel.calls import check, libc_function, system_call


class Clone(enum.IntFlag):
    """CLONE_* (clone(2), namespaces(7))."""

    NEWTIME = 0x00000080
    FS = 0x00000200
    PIDFD = 0x00001000
    PARENT = 0x00008000
    NEWNS = 0x00020000
    NEWCGROUP = 0x02000000
    NEWUTS = 0x04000000
    NEWIPC = 0x08000000
    NEWUSER = 0x10000000
    NEWPID = 0x20000000
    NEWNET = 0x40000000
    INTO_CGROUP = 0x200000000


class _CloneArgs(ctypes.Structure):
    _fields_ = (
        ("flags", ctypes.c_uint64),
        ("pidfd", ctypes.c_uint64),
        ("child_tid", ctypes.c_uint64),
        ("parent_tid", ctypes.c_uint64),
        ("exit_signal", ctypes.c_uint64),
        ("stack", ctypes.c_uint64),
        ("stack_size", ctypes.c_uint64),
        ("tls", ctypes.c_uint64),
        ("set_tid", ctypes.c_uint64),
        ("set_tid_size", ctypes.c_uint64),
        ("cgroup", ctypes.c_uint64),
    )


_unshare = libc_function("unshare", ctypes.c_int)
_setns = libc_function("setns", ctypes.c_int, ctypes.c_int)
_setdomainname = libc_function("setdomainname", ctypes.c_char_p, ctypes.c_size_t)
_clone = system_call(
    "clone", ctypes.c_ulong, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, hold_gil=True
)
_clone3 = system_call("clone3", ctypes.c_void_p, ctypes.c_size_t, hold_gil=True)
_before_fork = ctypes.pythonapi.PyOS_BeforeFork
_after_fork_parent = ctypes.pythonapi.PyOS_AfterFork_Parent
_after_fork_child = ctypes.pythonapi.PyOS_AfterFork_Child
for _hook in (_before_fork, _after_fork_parent, _after_fork_child):
    _hook.argtypes = ()
    _hook.restype = None

_SIGCHLD = 17


def unshare(flags: Clone) -> None:
    """unshare(2)."""
    check(_unshare(flags), "unshare", flags)


def setns(descriptor: int, flags: Clone = Clone(0)) -> None:  # noqa: B008 - an immutable flag
    """setns(2): join the namespace of `descriptor`, or with a pidfd those of its process that `flags` name (Linux 5.8)."""
    check(_setns(descriptor, flags), "setns", descriptor, flags)


def setdomainname(name: bytes) -> None:
    """setdomainname(2): the NIS domain of the caller's uts namespace. The file in /proc asks for the host's root instead."""
    check(_setdomainname(name, len(name)), "setdomainname", name)


def clone3(flags: Clone, cgroup: int = -1) -> tuple[int, int]:
    """clone3(2) as a fork into new namespaces: (0, -1) in the child, (pid, pidfd) in the parent.

    `cgroup` is a descriptor of a cgroup v2 directory that the child is to be born in. Runs CPython's fork hooks, so the
    child may go on in Python; glibc's atfork handlers do not run, so the process must have one thread only.
    """
    pidfd = ctypes.c_int(-1)
    # With CLONE_PARENT the child takes over the exit signal of its sibling; naming one is EINVAL (clone(2)).
    exit_signal = 0 if flags & Clone.PARENT else _SIGCHLD
    arguments = _CloneArgs(flags=flags | Clone.PIDFD, pidfd=ctypes.addressof(pidfd), exit_signal=exit_signal)
    if cgroup >= 0:
        arguments.flags |= Clone.INTO_CGROUP
        arguments.cgroup = cgroup
    _before_fork()
    pid = _clone3(ctypes.byref(arguments), ctypes.sizeof(arguments))
    if pid == 0:
        _after_fork_child()
        return 0, -1
    number = ctypes.get_errno()
    _after_fork_parent()
    ctypes.set_errno(number)
    check(pid, "clone3", flags, cgroup)
    return pid, pidfd.value


def fork_sibling() -> int:
    """clone(2) with CLONE_PARENT: a fork whose child is the child of the caller's parent. 0 in it, its pid in the caller.

    The old call, because Docker's filters answer ENOSYS to clone3. The rest is as there: one thread, CPython's hooks.
    """
    _before_fork()
    # With no stack the child goes on with a copy of ours; the signal at its end is our own's (clone(2)).
    pid = int(_clone(Clone.PARENT, None, None, None, None))
    if pid == 0:
        _after_fork_child()
        return 0
    number = ctypes.get_errno()
    _after_fork_parent()
    ctypes.set_errno(number)
    return check(pid, "clone", Clone.PARENT)
