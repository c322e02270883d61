"""Landlock: landlock_create_ruleset(2), landlock_add_rule(2), landlock_restrict_self(2). Which files a process may still open.

Only ever more is taken away, for this thread and all that it starts. Needs no_new_privs or CAP_SYS_ADMIN.
"""

from __future__ import annotations

import ctypes
import enum
import errno
import os

from sampan.kernel.calls import check, system_call

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


class Access(enum.IntFlag):
    """LANDLOCK_ACCESS_FS_* (landlock(7))."""

    EXECUTE = 1 << 0
    WRITE_FILE = 1 << 1
    READ_FILE = 1 << 2
    READ_DIR = 1 << 3
    REMOVE_DIR = 1 << 4
    REMOVE_FILE = 1 << 5
    MAKE_CHAR = 1 << 6
    MAKE_DIR = 1 << 7
    MAKE_REG = 1 << 8
    MAKE_SOCK = 1 << 9
    MAKE_FIFO = 1 << 10
    MAKE_BLOCK = 1 << 11
    MAKE_SYM = 1 << 12
    REFER = 1 << 13
    TRUNCATE = 1 << 14
    IOCTL_DEV = 1 << 15


_SINCE = {Access.REFER: 2, Access.TRUNCATE: 3, Access.IOCTL_DEV: 5}
"""The version of the interface that brought a kind of access; the others were in the first."""
_VERSION = 1
_PATH_BENEATH = 1


class _Ruleset(ctypes.Structure):
    # What later versions added behind it is not used.
    _fields_ = (("handled_access_fs", ctypes.c_uint64),)


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed_access", ctypes.c_uint64), ("parent_fd", ctypes.c_int32))


_create_ruleset = system_call("landlock_create_ruleset", ctypes.c_void_p, ctypes.c_size_t, ctypes.c_uint32)
_add_rule = system_call("landlock_add_rule", ctypes.c_int, ctypes.c_int, ctypes.c_void_p, ctypes.c_uint32)
_restrict_self = system_call("landlock_restrict_self", ctypes.c_int, ctypes.c_uint32)


def landlock_version() -> int:
    """The version of the interface; 0 where the kernel has none, or has it switched off."""
    try:
        return check(_create_ruleset(None, 0, _VERSION), "landlock_create_ruleset", "VERSION")
    except OSError as error:
        if error.errno in (errno.ENOSYS, errno.EOPNOTSUPP):
            return 0
        raise


def landlock_restrict(allowed: Iterable[tuple[int, Access]], version: int) -> None:
    """From now on nothing can be opened, made, removed or executed but what `allowed` says: (directory's descriptor, access).

    `version` is what `landlock_version` said, at least 1. Descriptors that are open already stay what they are.
    """
    handled = Access(0)
    for access in Access:
        if _SINCE.get(access, 1) <= version:
            handled |= access
    rules = _Ruleset(handled)
    ruleset = check(
        _create_ruleset(ctypes.byref(rules), ctypes.sizeof(rules), 0), "landlock_create_ruleset", hex(handled)
    )
    try:
        for directory, access in allowed:
            beneath = _PathBeneath(access & handled, directory)
            check(
                _add_rule(ruleset, _PATH_BENEATH, ctypes.byref(beneath), 0), "landlock_add_rule", directory, hex(access)
            )
        check(_restrict_self(ruleset, 0), "landlock_restrict_self", ruleset)
    finally:
        os.close(ruleset)
