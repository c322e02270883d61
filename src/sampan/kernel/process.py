"""The process itself: prctl(2), close_range(2), keyrings, its title in `ps`."""

from __future__ import annotations

import ctypes
import enum
import errno
import os

from sampan.kernel.calls import check, libc_function, system_call


class Prctl(enum.IntEnum):
    """Options of prctl(2) that Sampan uses."""

    SET_PDEATHSIG = 1
    GET_DUMPABLE = 3
    SET_DUMPABLE = 4
    SET_KEEPCAPS = 8
    SET_NAME = 15
    CAPBSET_READ = 23
    CAPBSET_DROP = 24
    SET_CHILD_SUBREAPER = 36
    SET_NO_NEW_PRIVS = 38
    GET_NO_NEW_PRIVS = 39
    CAP_AMBIENT = 47


_prctl = libc_function("prctl", ctypes.c_int, ctypes.c_ulong, ctypes.c_ulong, ctypes.c_ulong, ctypes.c_ulong)
_close_range = system_call("close_range", ctypes.c_uint, ctypes.c_uint, ctypes.c_uint)
_pidfd_getfd = system_call("pidfd_getfd", ctypes.c_int, ctypes.c_int, ctypes.c_uint)
_keyctl = system_call("keyctl", ctypes.c_int, ctypes.c_char_p)

_setfsuid = libc_function("setfsuid", ctypes.c_uint)
_setfsgid = libc_function("setfsgid", ctypes.c_uint)
_execve = libc_function("execve", ctypes.c_char_p, ctypes.c_void_p, ctypes.c_void_p)
_prlimit = libc_function("prlimit", ctypes.c_int, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)

_KEYCTL_JOIN_SESSION_KEYRING = 1
_LAST_DESCRIPTOR = 0xFFFFFFFF
_HIGHEST_DESCRIPTOR = 1023
"""Of processes of ours that a filter can be in force in: they have a few hundred at most, and the lowest numbers."""
_NOBODY = 0xFFFFFFFF


def prctl(option: Prctl, argument: int = 0, second: int = 0) -> int:
    """prctl(2); options that take more than two arguments get zeros for the rest."""
    return check(_prctl(option, argument, second, 0, 0), "prctl", option, argument, second)


def pidfd_getfd(pidfd: int, number: int) -> int:
    """pidfd_getfd(2): a copy of descriptor `number` of another process, close-on-exec. Raises OSError."""
    return check(_pidfd_getfd(pidfd, number, 0), "pidfd_getfd", pidfd, number)


def pid_of(pidfd: int) -> int:
    """The number of a pidfd's process as this process's /proc has it. Raises ProcessLookupError where it has ended."""
    with open(f"/proc/self/fdinfo/{pidfd}") as file:
        for line in file:
            name, _, value = line.partition(":")
            if name == "Pid" and int(value) > 0:
                return int(value)
    raise ProcessLookupError(f"the process of pidfd {pidfd} has ended")


def close_from(first: int) -> None:
    """close_range(2): close every descriptor from `first` on."""
    _close_between(first, _LAST_DESCRIPTOR)


def close_all_but(keep: list[int]) -> None:
    """Close every descriptor from 3 on that is not in `keep`, with one close_range(2) for each gap."""
    first = 3
    for descriptor in sorted(set(keep)):
        if descriptor > first:
            _close_between(first, descriptor - 1)
        first = max(first, descriptor + 1)
    close_from(first)


def _close_between(first: int, last: int) -> None:
    """The gap, its ends included. A filter that is in force already may be older than the call: then one by one."""
    try:
        check(_close_range(first, last, 0), "close_range", first, last)
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOSYS, errno.EACCES):
            raise
        for descriptor in range(first, min(last, _HIGHEST_DESCRIPTOR) + 1):
            try:
                os.close(descriptor)
            except OSError as closed:
                if closed.errno != errno.EBADF:
                    raise


def join_session_keyring(name: bytes | None) -> int:
    """keyctl(KEYCTL_JOIN_SESSION_KEYRING): a new session keyring, so that the caller's is not inherited."""
    return check(_keyctl(_KEYCTL_JOIN_SESSION_KEYRING, name), "keyctl", "JOIN_SESSION_KEYRING", name)


class _Rlimit(ctypes.Structure):
    _fields_ = (("soft", ctypes.c_uint64), ("hard", ctypes.c_uint64))


def prlimit(resource: int, soft: int, hard: int, pid: int = 0) -> None:
    """prlimit(2) on `pid` (0: this process); -1 is RLIM_INFINITY. Raises PermissionError for a raise without CAP_SYS_RESOURCE."""
    mask = 2**64 - 1
    limit = _Rlimit(soft & mask, hard & mask)
    check(_prlimit(pid, resource, ctypes.byref(limit), None), "prlimit", pid, resource, soft, hard)


def set_file_ids(uid: int, gid: int) -> None:
    """setfsuid(2), setfsgid(2): who this thread is to file systems. Both tell no failure, so they are asked. Raises OSError.

    A change from 0 takes the file capabilities out of the effective set; capset(2) can put them back. PDEATHSIG is forgotten.
    """
    for call, wanted in ((_setfsgid, gid), (_setfsuid, uid)):
        call(wanted)
        # What they return is a signed number, and half of all ids are negative in it.
        if call(_NOBODY) & _NOBODY != wanted:
            raise PermissionError(errno.EPERM, f"{call.__name__} {wanted}")


def execve(program: bytes, arguments: list[bytes], environment: list[bytes]) -> None:
    """execve(2) with the environment as it is: its order, and whatever its entries look like. Returns only by raising."""
    words = (ctypes.c_char_p * (len(arguments) + 1))(*arguments, None)
    variables = (ctypes.c_char_p * (len(environment) + 1))(*environment, None)
    check(_execve(program, words, variables), "execve", program)


class Title:
    """What `ps` shows of this process and of those forked from it.

    The kernel shows the memory of the first arguments; it is overwritten in place, so a title is at most as long as the
    command line that the process was started with.
    """

    __slots__ = ("_length", "_start")

    def __init__(self) -> None:
        with open("/proc/self/stat", "rb") as stat:
            # The name in brackets may hold blanks; what follows the last bracket is regular (proc(5), fields from 3 on).
            fields = stat.read().rsplit(b") ", 1)[1].split()
        self._start = int(fields[48 - 3])
        self._length = int(fields[49 - 3]) - self._start

    def set(self, text: str) -> None:
        """Show `text`; its first 15 bytes become the thread's name too."""
        shown = os.fsencode(text)[: max(self._length - 1, 0)]
        ctypes.memset(self._start, 0, self._length)
        ctypes.memmove(self._start, shown, len(shown))
        name = ctypes.create_string_buffer(os.fsencode(text)[:15])
        check(_prctl(Prctl.SET_NAME, ctypes.addressof(name), 0, 0, 0), "prctl", Prctl.SET_NAME, text)
