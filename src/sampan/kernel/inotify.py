"""Being told that files change: inotify(7).

What happened is not parsed here or anywhere: a descriptor that becomes readable says "look again", and the look tells the
rest, also where the kernel dropped events (IN_Q_OVERFLOW).
"""

from __future__ import annotations

import ctypes
import enum
import os

from sampan.kernel.calls import check, libc_function

_inotify_init1 = libc_function("inotify_init1", ctypes.c_int)
_inotify_add_watch = libc_function("inotify_add_watch", ctypes.c_int, ctypes.c_char_p, ctypes.c_uint32)


class Inotify(enum.IntFlag):
    """Events (inotify(7)) that Sampan waits for, and how a path is watched."""

    MODIFY = 0x2
    MOVED_TO = 0x80
    CREATE = 0x100
    DELETE_SELF = 0x400
    MOVE_SELF = 0x800
    ONLYDIR = 0x0100_0000


def inotify_init1() -> int:
    """inotify_init1(2): a new descriptor, close-on-exec, not blocking. Raises OSError EMFILE at the user's limit of them (128)."""
    return check(_inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK), "inotify_init1")


def inotify_add_watch(descriptor: int, path: bytes, events: Inotify) -> int:
    """inotify_add_watch(2): what happens to `path`, and to what lies in it where it is a directory. Returns the watch."""
    return check(_inotify_add_watch(descriptor, path, int(events)), "inotify_add_watch", descriptor, path, events)
