"""Getting a socket out of a transport, so that somebody else can go on with it."""

import asyncio
import os
import socket

from sampan.api.tls import TlsTransport


def take_socket(transport: asyncio.Transport) -> socket.socket:
    """A non-blocking socket for what goes on with the client; the transport is done with.

    A plain socket is duplicated and the transport aborted, which closes its descriptor without shutting the connection
    down. Behind TLS it is one end of a pair, and the transport carries both ways from then on.
    """
    if isinstance(transport, TlsTransport):
        return transport.relay()
    duplicate = socket.socket(fileno=os.dup(transport.get_extra_info("socket").fileno()))
    duplicate.setblocking(False)
    transport.abort()
    return duplicate
