"""Mounts by descriptor: fsopen, fsconfig, fsmount, open_tree, move_mount, mount_setattr, and the older mount, umount2, pivot_root.

A detached mount is a descriptor that no namespace shows; it becomes visible by `move_mount` and goes with its last
descriptor. Nothing here resolves a path that a container controls: targets are descriptors.
"""

from __future__ import annotations

import ctypes
import enum

from sampan.kernel.calls import check, libc_function, system_call

AT_FDCWD = -100
_AT_EMPTY_PATH = 0x1000
_AT_RECURSIVE = 0x8000
_AT_SYMLINK_NOFOLLOW = 0x100


class OpenTree(enum.IntFlag):
    """Flags of open_tree(2)."""

    CLONE = 1
    CLOEXEC = 0o2000000
    EMPTY_PATH = _AT_EMPTY_PATH
    RECURSIVE = _AT_RECURSIVE
    SYMLINK_NOFOLLOW = _AT_SYMLINK_NOFOLLOW


class MoveMount(enum.IntFlag):
    """Flags of move_mount(2)."""

    F_EMPTY_PATH = 0x04
    T_EMPTY_PATH = 0x40


class MountAttr(enum.IntFlag):
    """Attributes of one mount (mount_setattr(2), fsmount(2))."""

    RDONLY = 0x01
    NOSUID = 0x02
    NODEV = 0x04
    NOEXEC = 0x08
    RELATIME = 0x00
    NOATIME = 0x10
    STRICTATIME = 0x20
    ATIME_MASK = 0x70
    NODIRATIME = 0x80
    IDMAP = 0x00100000
    NOSYMFOLLOW = 0x00200000


class MS(enum.IntFlag):
    """Flags of mount(2)."""

    RDONLY = 1
    NOSUID = 2
    NODEV = 4
    NOEXEC = 8
    SYNCHRONOUS = 16
    REMOUNT = 32
    MANDLOCK = 64
    DIRSYNC = 128
    NOATIME = 1024
    NODIRATIME = 2048
    BIND = 4096
    MOVE = 8192
    REC = 16384
    UNBINDABLE = 1 << 17
    PRIVATE = 1 << 18
    SLAVE = 1 << 19
    SHARED = 1 << 20
    RELATIME = 1 << 21
    STRICTATIME = 1 << 24


class MNT(enum.IntFlag):
    """Flags of umount2(2)."""

    FORCE = 1
    DETACH = 2
    EXPIRE = 4
    UMOUNT_NOFOLLOW = 8


class FsConfig(enum.IntEnum):
    """Commands of fsconfig(2)."""

    SET_FLAG = 0
    SET_STRING = 1
    CMD_CREATE = 6


class _MountAttrs(ctypes.Structure):
    _fields_ = (
        ("attr_set", ctypes.c_uint64),
        ("attr_clr", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("userns_fd", ctypes.c_uint64),
    )


_fsopen = system_call("fsopen", ctypes.c_char_p, ctypes.c_uint)
_fsconfig = system_call("fsconfig", ctypes.c_int, ctypes.c_uint, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_int)
_fsmount = system_call("fsmount", ctypes.c_int, ctypes.c_uint, ctypes.c_uint)
_open_tree = system_call("open_tree", ctypes.c_int, ctypes.c_char_p, ctypes.c_uint)
_move_mount = system_call("move_mount", ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint)
_mount_setattr = system_call(
    "mount_setattr", ctypes.c_int, ctypes.c_char_p, ctypes.c_uint, ctypes.c_void_p, ctypes.c_size_t
)
_pivot_root = system_call("pivot_root", ctypes.c_char_p, ctypes.c_char_p)
_mount = libc_function("mount", ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_ulong, ctypes.c_char_p)
_umount2 = libc_function("umount2", ctypes.c_char_p, ctypes.c_int)

_FSOPEN_CLOEXEC = 1
_FSMOUNT_CLOEXEC = 1


def fsopen(file_system: bytes) -> int:
    """fsopen(2): a configuration descriptor for a new instance of `file_system`."""
    return check(_fsopen(file_system, _FSOPEN_CLOEXEC), "fsopen", file_system)


def fsconfig_string(context: int, key: bytes, value: bytes) -> None:
    """fsconfig(FSCONFIG_SET_STRING). `value` is at most 255 bytes; EINVAL for a key the file system does not know."""
    check(_fsconfig(context, FsConfig.SET_STRING, key, value, 0), "fsconfig", "SET_STRING", key, value)


def fsconfig_flag(context: int, key: bytes) -> None:
    """fsconfig(FSCONFIG_SET_FLAG)."""
    check(_fsconfig(context, FsConfig.SET_FLAG, key, None, 0), "fsconfig", "SET_FLAG", key)


def fsconfig_create(context: int) -> None:
    """fsconfig(FSCONFIG_CMD_CREATE): make the instance."""
    check(_fsconfig(context, FsConfig.CMD_CREATE, None, None, 0), "fsconfig", "CMD_CREATE")


def fsmount(context: int, attributes: MountAttr = MountAttr(0)) -> int:  # noqa: B008 - an immutable flag
    """fsmount(2): a detached mount of the created instance."""
    return check(_fsmount(context, _FSMOUNT_CLOEXEC, attributes), "fsmount", context, attributes)


def open_tree(directory: int, path: bytes, flags: OpenTree) -> int:
    """open_tree(2): with CLONE a detached copy of the mount at `path` (RECURSIVE: and of those below). Always close-on-exec."""
    return check(_open_tree(directory, path, flags | OpenTree.CLOEXEC), "open_tree", directory, path, flags)


def move_mount(mount: int, target: int) -> None:
    """move_mount(2): show the detached mount `mount` on the object that the descriptor `target` names."""
    check(
        _move_mount(mount, b"", target, b"", MoveMount.F_EMPTY_PATH | MoveMount.T_EMPTY_PATH),
        "move_mount", mount, target,
    )  # fmt: skip


def mount_setattr(
    mount: int,
    add: MountAttr = MountAttr(0),  # noqa: B008
    clear: MountAttr = MountAttr(0),  # noqa: B008
    propagation: MS = MS(0),  # noqa: B008
    recursive: bool = False,
    users: int = 0,
) -> None:
    """mount_setattr(2) on the mount that `mount` is the root of; `propagation` is one of MS.PRIVATE, SLAVE, SHARED, UNBINDABLE.

    With MountAttr.IDMAP, `users` is a descriptor of the user namespace whose maps the mount gets: EINVAL where its file system
    does not take that, EPERM for a mount that has been attached or has a map already.
    """
    attributes = _MountAttrs(add, clear, propagation, users)
    flags = _AT_EMPTY_PATH | (_AT_RECURSIVE if recursive else 0)
    check(
        _mount_setattr(mount, b"", flags, ctypes.byref(attributes), ctypes.sizeof(attributes)),
        "mount_setattr", mount, add, clear, propagation, recursive,
    )  # fmt: skip


def mount(source: bytes | None, target: bytes, file_system: bytes | None, flags: MS, data: bytes | None = None) -> None:
    """mount(2). Only for targets that no container controls (the launcher's own namespace)."""
    check(_mount(source, target, file_system, flags, data), "mount", source, target, file_system, flags, data)


def umount2(target: bytes, flags: MNT = MNT(0)) -> None:  # noqa: B008
    """umount2(2)."""
    check(_umount2(target, flags), "umount2", target, flags)


def pivot_root(new_root: bytes, put_old: bytes) -> None:
    """pivot_root(2). EINVAL while the current root is the initial rootfs (a machine running from an initramfs)."""
    check(_pivot_root(new_root, put_old), "pivot_root", new_root, put_old)
