"""Files by descriptor: openat2(2), sealed memory files, file system types.

What `os` already has (openat by `dir_fd`, mknod, link, rename) is not repeated here.
"""

from __future__ import annotations

import ctypes
import enum
import errno
import os

from sampan.kernel.calls import check, libc_function, system_call


class Resolve(enum.IntFlag):
    """`open_how.resolve` (openat2(2)): how a path may be walked."""

    NO_XDEV = 0x01
    NO_MAGICLINKS = 0x02
    NO_SYMLINKS = 0x04
    BENEATH = 0x08
    IN_ROOT = 0x10


class _OpenHow(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


class Seal(enum.IntFlag):
    """Seals of a memory file (fcntl(2), "File Sealing")."""

    SEAL = 0x01
    SHRINK = 0x02
    GROW = 0x04
    WRITE = 0x08


ALL_SEALS = Seal.SEAL | Seal.SHRINK | Seal.GROW | Seal.WRITE

PROC_SUPER_MAGIC = 0x9FA0
DEVPTS_SUPER_MAGIC = 0x1CD1
OVERLAYFS_SUPER_MAGIC = 0x794C7630
TMPFS_MAGIC = 0x01021994

_F_ADD_SEALS = 1033
_F_GET_SEALS = 1034
# A rename elsewhere on the machine makes a walk with IN_ROOT or BENEATH give up with EAGAIN (openat2(2), ERRORS).
_EAGAIN_TRIES = 128
_EBUSY_TRIES = 12

_openat2 = system_call("openat2", ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p, ctypes.c_size_t)
_fcntl = libc_function("fcntl", ctypes.c_int, ctypes.c_int, ctypes.c_int)


def openat2(directory: int, path: bytes, flags: int, resolve: Resolve, mode: int = 0) -> int:
    """openat2(2): open `path` below the descriptor `directory`, walking it as `resolve` says. Always close-on-exec.

    Raises OSError: ELOOP and EXDEV where the walk met what `resolve` forbids.
    """
    how = _OpenHow(flags | os.O_CLOEXEC, mode, resolve)
    tries = _EAGAIN_TRIES
    while True:
        try:
            return check(
                _openat2(directory, path, ctypes.byref(how), ctypes.sizeof(how)),
                "openat2", directory, path, flags, resolve,
            )  # fmt: skip
        except OSError as error:
            tries -= 1
            if error.errno != errno.EAGAIN or tries == 0:
                raise


def sealed_file(name: str, content: bytes) -> int:
    """A descriptor of a memory file that holds `content` and that nobody can change any more (memfd_create(2))."""
    descriptor = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        view = memoryview(content)
        while view:
            view = view[os.write(descriptor, view) :]
        add_seals(descriptor, ALL_SEALS)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def bounded_file(name: str, size: int) -> int:
    """A descriptor of a memory file of `size` NULs that never grows: what is written beyond its end is refused (EPERM)."""
    descriptor = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        os.ftruncate(descriptor, size)
        add_seals(descriptor, Seal.SEAL | Seal.SHRINK | Seal.GROW)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def add_seals(descriptor: int, seals: Seal) -> None:
    """fcntl(F_ADD_SEALS). Raises OSError: EBUSY for Seal.WRITE where the file is mapped to be written to.

    So the kernel also answers when somebody else has held a page for its 150 ms (memfd_wait_for_pins: a compaction, a
    pipe): asked again then, for about two seconds.
    """
    tries = _EBUSY_TRIES
    while True:
        try:
            check(_fcntl(descriptor, _F_ADD_SEALS, int(seals)), "fcntl", descriptor, "F_ADD_SEALS", seals)
        except OSError as error:
            tries -= 1
            if error.errno != errno.EBUSY or tries == 0:
                raise
        else:
            return


def get_seals(descriptor: int) -> Seal:
    """fcntl(F_GET_SEALS). Raises OSError EINVAL for what is no memory file."""
    return Seal(check(_fcntl(descriptor, _F_GET_SEALS, 0), "fcntl", descriptor, "F_GET_SEALS"))


class _Statfs(ctypes.Structure):
    # struct statfs of 64-bit machines (statfs(2)); only the type is read, the rest is room.
    _fields_ = (("f_type", ctypes.c_long), ("rest", ctypes.c_byte * 248))


_fstatfs = libc_function("fstatfs", ctypes.c_int, ctypes.c_void_p)


def file_system_type(descriptor: int) -> int:
    """The magic number of the file system that `descriptor` lies on (fstatfs(2)); O_PATH descriptors work."""
    room = _Statfs()
    check(_fstatfs(descriptor, ctypes.byref(room)), "fstatfs", descriptor)
    return int(room.f_type)
