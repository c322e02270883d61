"""syncfs(2): what was written to one file system, made durable."""

from __future__ import annotations

import ctypes

from sampan.kernel.calls import check, libc_function

_syncfs = libc_function("syncfs", ctypes.c_int)


def syncfs(descriptor: int) -> None:
    """Wait until everything written to the file system of `descriptor` is on the disk (files, names and attributes)."""
    check(_syncfs(descriptor), "syncfs", descriptor)
