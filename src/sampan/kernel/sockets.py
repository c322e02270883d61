"""Socket options that Python's `socket` has no function for (socket(7)). Standard library only."""

from __future__ import annotations

import array
import socket
import struct

_SO_ATTACH_FILTER = 26
# One instruction of classic BPF: code RET|K with k = 0, "keep no byte of the packet".
_DROP_ALL = struct.pack("=HBBI", 0x06, 0, 0, 0)


def drop_all(sock: socket.socket) -> None:
    """SO_ATTACH_FILTER with a filter that lets nothing in: what arrives for `sock` is thrown away unanswered."""
    program = array.array("B", _DROP_ALL)
    address, _ = program.buffer_info()
    sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("@HP", 1, address))
