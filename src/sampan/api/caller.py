"""Who is at the other end of a connection: the kernel's word for it, which no client can make up."""

import asyncio
import socket
import struct

_CREDENTIALS = struct.Struct("=iII")
_NOBODY = 2**32 - 1


def caller_of(transport: asyncio.BaseTransport) -> tuple[int, int] | None:
    """User and group of the process that connected to a unix socket; None for other connections."""
    sock = transport.get_extra_info("socket")
    if sock is None or sock.family != socket.AF_UNIX:
        return None
    _, uid, gid = _CREDENTIALS.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    # The last number where the process is of a user namespace that this one does not know (unix(7)).
    return (uid, gid) if _NOBODY not in (uid, gid) else None
