"""Getting a socket out of a transport, so that somebody else can go on with it."""

import asyncio
import os
import socket

from sampan.api.relay import Relay, WebsocketRelay
from sampan.api.tls import TlsTransport


def take_socket(transport: asyncio.Transport) -> socket.socket:
    """A non-blocking socket for what goes on with the client; the transport is done with.

    A plain socket is duplicated and the transport aborted, which closes its descriptor without shutting the connection
    down. Behind TLS it is one end of a pair, and the other is carried both ways from then on.
    """
    if isinstance(transport, TlsTransport):
        return Relay(transport, transport.ended).theirs
    duplicate = _duplicate(transport)
    transport.abort()
    return duplicate


def take_websocket(transport: asyncio.Transport, ended: bool, early: bytes, opcode: int) -> socket.socket:
    """One end of a pair that speaks plain bytes, for a client that speaks frames, TLS or not.

    `early` are frames that came already; `ended` says that nothing more comes.
    """
    return WebsocketRelay(transport, ended, early, opcode).theirs


def bare_socket(transport: asyncio.Transport) -> socket.socket | None:
    """One more descriptor of the client's connection, for the caller to close; None where TLS is in between."""
    return None if isinstance(transport, TlsTransport) else _duplicate(transport)


def _duplicate(transport: asyncio.Transport) -> socket.socket:
    duplicate = socket.socket(fileno=os.dup(transport.get_extra_info("socket").fileno()))
    duplicate.setblocking(False)
    return duplicate
