"""Getting a socket out of a transport, so that somebody else can go on with it."""

import asyncio
import os
import socket

from sampan.api.tls import TlsTransport

_HIGH = 256 * 1024
"""Bytes that wait for a client that does not read."""


def take_socket(transport: asyncio.Transport) -> socket.socket:
    """A non-blocking socket for what goes on with the client; the transport is done with.

    A plain socket is duplicated and the transport aborted, which closes its descriptor without shutting the connection
    down. Behind TLS it is one end of a pair, and the other is carried both ways from then on.
    """
    if isinstance(transport, TlsTransport):
        ours, theirs = socket.socketpair()
        for end in (ours, theirs):
            end.setblocking(False)
        transport.set_write_buffer_limits(_HIGH)
        transport.pass_to(_Relay(transport, ours, transport.ended))
        return theirs
    duplicate = _duplicate(transport)
    transport.abort()
    return duplicate


def bare_socket(transport: asyncio.Transport) -> socket.socket | None:
    """One more descriptor of the client's connection, for the caller to close; None where TLS is in between."""
    return None if isinstance(transport, TlsTransport) else _duplicate(transport)


def _duplicate(transport: asyncio.Transport) -> socket.socket:
    duplicate = socket.socket(fileno=os.dup(transport.get_extra_info("socket").fileno()))
    duplicate.setblocking(False)
    return duplicate


class _Relay(asyncio.Protocol):
    """Above the TLS transport, whose reading is paused when this takes over: client → pair and, through `_Local`, pair → client."""

    def __init__(self, client: TlsTransport, ours: socket.socket, ended: bool) -> None:
        self._client = client
        self._ended = ended
        self._local = _Local(self)
        self.transport: asyncio.Transport | None = None
        loop = asyncio.get_running_loop()
        self._connecting = loop.create_task(self._connect(loop, ours))

    async def _connect(self, loop: asyncio.AbstractEventLoop, ours: socket.socket) -> None:
        transport, _ = await loop.create_connection(lambda: self._local, sock=ours)
        self.transport = transport
        if self._client.is_closing():
            transport.abort()
        elif self._ended:
            transport.write_eof()
        else:
            self._client.resume_reading()

    def data_received(self, data: bytes) -> None:
        """From the client."""
        assert self.transport is not None
        self.transport.write(data)

    def eof_received(self) -> bool:
        """The client's input ends; what the container says still goes to it."""
        self._ended = True
        if self.transport is not None:
            self.transport.write_eof()
        return True

    def connection_lost(self, _exc: Exception | None) -> None:
        """The client has gone."""
        if self.transport is not None:
            self.transport.abort()

    def pause_writing(self) -> None:
        """The client reads too slowly."""
        if self.transport is not None:
            self.transport.pause_reading()

    def resume_writing(self) -> None:
        """It has caught up."""
        if self.transport is not None:
            self.transport.resume_reading()

    # For `_Local`.

    def from_container(self, data: bytes) -> None:
        """Pass it to the client."""
        self._client.write(data)

    def container_ended(self) -> None:
        """Nothing more comes: tell the client, and end when all is sent."""
        self._client.close()

    def container_full(self, full: bool) -> None:
        """Back-pressure from the container's end."""
        (self._client.pause_reading if full else self._client.resume_reading)()


class _Local(asyncio.Protocol):
    """The daemon's end of the pair."""

    def __init__(self, relay: _Relay) -> None:
        self._relay = relay

    def data_received(self, data: bytes) -> None:
        """From the container."""
        self._relay.from_container(data)

    def eof_received(self) -> bool:
        """The container's end was closed or shut for writing."""
        self._relay.container_ended()
        return True

    def connection_lost(self, _exc: Exception | None) -> None:
        """The pair is gone."""
        self._relay.container_ended()

    def pause_writing(self) -> None:
        """The container reads too slowly."""
        self._relay.container_full(True)

    def resume_writing(self) -> None:
        """It has caught up."""
        self._relay.container_full(False)
