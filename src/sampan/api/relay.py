"""Carries a hijacked connection where its socket cannot be given away, because TLS or websocket frames are in between.

Whoever serves the client gets one end of a socket pair. What comes from the client is written to the other end and the
other way round, with back-pressure and half-close; each direction keeps at most a bound.
"""

import asyncio
import socket

from sampan.api.tls import TlsTransport
from sampan.api.websocket import NORMAL, Inbound, closing, frame

_HIGH = 256 * 1024
"""Bytes that wait for a client that does not read."""
_CLOSE_SECONDS = 1.0
"""How long a client may take to answer the close frame."""


class Relay(asyncio.Protocol):
    """Above the client's transport, whose reading is paused when this takes over: client → pair and, through `_Local`, back.

    `early` is what the client had sent behind its request; `ended` says that it sends no more.
    """

    def __init__(self, client: asyncio.Transport, ended: bool, early: bytes = b"") -> None:
        self._client = client
        self._ended = ended
        self._early = early
        self._local = _Local(self)
        self._container_full = self._client_full = False
        self.transport: asyncio.Transport | None = None
        ours, self.theirs = socket.socketpair()
        """`theirs` is for whoever serves the client"""
        for end in (ours, self.theirs):
            end.setblocking(False)
        client.set_write_buffer_limits(_HIGH)
        if isinstance(client, TlsTransport):
            client.pass_to(self)
        else:
            client.set_protocol(self)
        loop = asyncio.get_running_loop()
        self._connecting = loop.create_task(self._connect(loop, ours))

    async def _connect(self, loop: asyncio.AbstractEventLoop, ours: socket.socket) -> None:
        transport, _ = await loop.create_connection(lambda: self._local, sock=ours)
        self.transport = transport
        if self._client.is_closing():
            transport.abort()
            return
        if self._early:
            self.data_received(self._early)
        if self._ended:
            self.eof_received()
        else:
            self._set_reading()

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
        self._client_full = True
        if self.transport is not None:
            self.transport.pause_reading()

    def resume_writing(self) -> None:
        """It has caught up."""
        self._client_full = False
        if self.transport is not None:
            self.transport.resume_reading()

    def _set_reading(self) -> None:
        (self._client.pause_reading if self._container_full else self._client.resume_reading)()

    # For `_Local`.

    def from_container(self, data: bytes) -> None:
        """Pass it to the client."""
        self._client.write(data)

    def container_ended(self) -> None:
        """Nothing more comes: tell the client, and end when all is sent."""
        self._client.close()

    def container_full(self, full: bool) -> None:
        """Back-pressure from the container's end."""
        self._container_full = full
        self._set_reading()


class WebsocketRelay(Relay):
    """The same with frames on the client's side. A websocket has no half-close: its end is the end of both directions."""

    def __init__(self, client: asyncio.Transport, ended: bool, early: bytes, opcode: int) -> None:
        self._opcode = opcode
        self._inbound = Inbound()
        self._over = False
        super().__init__(client, ended, early)

    def data_received(self, data: bytes) -> None:
        """Frames from the client."""
        assert self.transport is not None
        said = self._inbound.feed(data)
        if said and not self._over:
            self.transport.write(said)
        if self._inbound.replies and not self._over:
            self._client.write(bytes(self._inbound.replies))
        self._inbound.replies.clear()
        if self._inbound.closed:
            self._end()

    def eof_received(self) -> bool:
        """The client has gone without a word."""
        self._end()
        return False

    def pause_writing(self) -> None:
        """The client does not read: nor are its pings, which want answers."""
        super().pause_writing()
        self._set_reading()

    def resume_writing(self) -> None:
        """It has caught up."""
        super().resume_writing()
        self._set_reading()

    def _set_reading(self) -> None:
        stop = self._container_full or (self._client_full and not self._over)
        (self._client.pause_reading if stop else self._client.resume_reading)()

    def from_container(self, data: bytes) -> None:
        """One frame for each piece."""
        self._client.write(frame(self._opcode, data))

    def container_ended(self) -> None:
        """Say so, and give the client a moment to say it too: closing on unread bytes may take the last frames from it."""
        if self._over or self._client.is_closing():
            return
        self._over = True
        self._client.write(closing(NORMAL))
        self._container_full = False
        self._set_reading()
        asyncio.get_running_loop().call_later(_CLOSE_SECONDS, self._client.close)

    def _end(self) -> None:
        self._over = True
        self._client.close()
        if self.transport is not None:
            self.transport.close()


class _Local(asyncio.Protocol):
    """The daemon's end of the pair."""

    def __init__(self, relay: Relay) -> None:
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
