"""Pseudo terminals by descriptor: ioctl_tty(2)."""

from __future__ import annotations

import ctypes
import os
import struct

from sampan.kernel.calls import check, libc_function

_ioctl_pointer = libc_function("ioctl", ctypes.c_int, ctypes.c_ulong, ctypes.c_void_p)
_ioctl_number = libc_function("ioctl", ctypes.c_int, ctypes.c_ulong, ctypes.c_long)

_TIOCSCTTY = 0x540E
_TIOCSWINSZ = 0x5414
_TIOCSPTLCK = 0x40045431
_TIOCGPTPEER = 0x5441


def open_pair(ptmx_directory: int) -> tuple[int, int]:
    """A new terminal in the devpts instance whose root is the descriptor `ptmx_directory`: (master, slave).

    The slave is taken from the master (TIOCGPTPEER), never by a path that a container could have changed (CVE-2025-52565).
    """
    master = os.open("ptmx", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC, dir_fd=ptmx_directory)
    try:
        unlocked = ctypes.c_int(0)
        check(_ioctl_pointer(master, _TIOCSPTLCK, ctypes.byref(unlocked)), "ioctl", master, "TIOCSPTLCK")
        flags = os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC
        return master, check(_ioctl_number(master, _TIOCGPTPEER, flags), "ioctl", master, "TIOCGPTPEER")
    except BaseException:
        os.close(master)
        raise


def set_size(terminal: int, rows: int, columns: int) -> None:
    """ioctl(TIOCSWINSZ); the foreground process group gets SIGWINCH."""
    room = ctypes.create_string_buffer(struct.pack("HHHH", rows, columns, 0, 0), 8)
    check(_ioctl_pointer(terminal, _TIOCSWINSZ, ctypes.addressof(room)), "ioctl", terminal, "TIOCSWINSZ", rows, columns)


def make_controlling(terminal: int) -> None:
    """ioctl(TIOCSCTTY): the caller must lead a session that has no terminal yet."""
    check(_ioctl_number(terminal, _TIOCSCTTY, 0), "ioctl", terminal, "TIOCSCTTY")
