"""Socket options and requests that Python's `socket` has no function for (socket(7), unix(7))."""

from __future__ import annotations

import array
import ctypes
import socket
import struct

from sampan.kernel.calls import check, libc_function

_SO_ATTACH_FILTER = 26
_SIOCOUTQ = 0x5411
_ioctl_pointer = libc_function("ioctl", ctypes.c_int, ctypes.c_ulong, ctypes.c_void_p)
# One instruction of classic BPF: code RET|K with k = 0, "keep no byte of the packet".
_DROP_ALL = struct.pack("=HBBI", 0x06, 0, 0, 0)
_IP_TRANSPARENT = 19
_IP_BIND_ADDRESS_NO_PORT = 24
_IPV6_TRANSPARENT = 75


def drop_all(sock: socket.socket) -> None:
    """SO_ATTACH_FILTER with a filter that lets nothing in: what arrives for `sock` is thrown away unanswered."""
    program = array.array("B", _DROP_ALL)
    address, _ = program.buffer_info()
    sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("@HP", 1, address))


def unread(sock: socket.socket) -> int:
    """ioctl(SIOCOUTQ): 0 when the peer of a unix socket has read all that was sent (TCP: its kernel has)."""
    waiting = ctypes.c_int()
    check(_ioctl_pointer(sock.fileno(), _SIOCOUTQ, ctypes.byref(waiting)), "ioctl", sock.fileno(), "SIOCOUTQ")
    return waiting.value


def speak_as(sock: socket.socket, address: str) -> None:
    """Bind an unconnected socket to an `address` that need not be ours (IP_TRANSPARENT, ip(7)), and to any port.

    Needs CAP_NET_ADMIN in the network namespace; answers come only where routing brings them. A TCP port is chosen by connect(2),
    so that it is taken only for one target. Raises OSError.
    """
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_TRANSPARENT, 1)
    else:
        sock.setsockopt(socket.IPPROTO_IP, _IP_TRANSPARENT, 1)
    sock.setsockopt(socket.IPPROTO_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
    sock.bind((address, 0))
