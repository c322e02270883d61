"""What the older iptables (ip_tables, not nf_tables) does with forwarded packets: read only.

Its rules live in a blob of their own that nf_tables does not show (netfilter_ipv4/ip_tables.h). Standard library and libc only.
"""

from __future__ import annotations

import ctypes
import errno
import socket
import struct

from sampan.kernel.calls import check, libc_function

_NAMES = "/proc/thread-self/net/ip_tables_names"
_SO_GET_INFO = 64
_SO_GET_ENTRIES = 65
# struct ipt_getinfo: name, valid_hooks, hook_entry[5], underflow[5], num_entries, size.
_INFO = struct.Struct("=32sI5I5III")
# struct ipt_get_entries: name, size, and padding up to the first entry.
_ENTRIES = struct.Struct("=32sI4x")
_FORWARD = 2
# Within struct ipt_entry: where its target begins; within a standard target: the verdict.
_TARGET_OFFSET = 88
_VERDICT = 32
_DROP = -1
_SIZE_LIMIT = 64 * 1024 * 1024

_getsockopt = libc_function("getsockopt", ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)


def forward_policy_is_drop() -> bool:
    """Whether the chain FORWARD of an iptables-legacy table `filter` drops by policy; false where there is no such table.

    Never loads the table's module: asking for a table by name would, and an empty one slows every packet down.
    """
    try:
        with open(_NAMES) as file:
            if "filter" not in file.read().split():
                return False
    except FileNotFoundError:
        return False
    with socket.socket(socket.AF_INET, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.IPPROTO_RAW) as sock:
        info = _INFO.unpack(_ask(sock, _SO_GET_INFO, b"filter".ljust(_INFO.size, b"\0")))
        underflow, size = info[7 + _FORWARD], info[13]
        if size > _SIZE_LIMIT:
            raise OSError(errno.EMSGSIZE, f"the iptables-legacy table filter has {size} bytes")
        question = _ENTRIES.pack(b"filter", size) + bytes(size)
        entries = _ask(sock, _SO_GET_ENTRIES, question)[_ENTRIES.size :]
    (target,) = struct.unpack_from("=H", entries, underflow + _TARGET_OFFSET)
    (verdict,) = struct.unpack_from("=i", entries, underflow + target + _VERDICT)
    return bool(verdict == _DROP)


def _ask(sock: socket.socket, option: int, question: bytes) -> bytes:
    """getsockopt(2) with a value that is read and written; Python's own only writes."""
    room = ctypes.create_string_buffer(question, len(question))
    length = ctypes.c_uint32(len(question))
    check(
        _getsockopt(sock.fileno(), socket.IPPROTO_IP, option, room, ctypes.byref(length)),
        "getsockopt", sock.fileno(), option,
    )  # fmt: skip
    return room.raw[: length.value]
