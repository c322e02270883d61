"""TLS between a raw transport and the connection above it, with half-close.

asyncio's own TLS ends the connection when the client's side is closed (`docker run -i` closes it when its input ends),
and cannot be taken apart when a route hijacks. This one reads on after its own side was closed and the other way round,
as TLS 1.3 has it (RFC 8446 section 6.1), and becomes a relay when asked to.
"""

import asyncio
import socket
import ssl
from typing import Any

_RECORD = 16 * 1024
_HANDSHAKE_SECONDS = 30.0
_HIGH = 256 * 1024


class TlsTransport(asyncio.Transport):
    """What a protocol above sees: plain bytes. It is itself fed by `TlsProtocol`."""

    def __init__(self, raw: asyncio.Transport, context: ssl.SSLContext, above: asyncio.Protocol) -> None:
        super().__init__()
        self._raw = raw
        self._above: asyncio.Protocol = above
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._ready = False
        self._paused = False
        self._closing = False
        self._ended = False
        self._timer = asyncio.get_running_loop().call_later(_HANDSHAKE_SECONDS, raw.abort)

    # From below.

    def feed(self, data: bytes) -> None:
        """Bytes from the network."""
        self._incoming.write(data)
        self._advance()

    def feed_eof(self) -> None:
        """The network's end: with or without TLS's own, nothing more comes."""
        self._incoming.write_eof()
        self._advance()

    def lost(self, error: Exception | None) -> None:
        """The network connection is gone."""
        self._timer.cancel()
        self._closing = True
        if self._ready:
            self._above.connection_lost(error)

    def raw_full(self, full: bool) -> None:
        """Back-pressure from the network, passed on."""
        if self._ready:
            (self._above.pause_writing if full else self._above.resume_writing)()

    def _advance(self) -> None:
        try:
            if not self._ready:
                self._handshake()
            while self._ready and not self._paused and not self._ended and not self._closing:
                data = self._tls.read(_RECORD)
                if not data:
                    self._end()
                    break
                self._above.data_received(data)
        except ssl.SSLWantReadError:
            if self._incoming.eof:
                self._end()
        except ssl.SSLZeroReturnError:
            self._end()
        except ssl.SSLError:
            # An alert tells the client why, where the handshake failed.
            self._flush()
            self._raw.close()
            return
        self._flush()

    def _handshake(self) -> None:
        self._tls.do_handshake()
        self._ready = True
        self._timer.cancel()
        self._flush()
        self._above.connection_made(self)

    def _end(self) -> None:
        if self._ended:
            return
        self._ended = True
        if not self._ready or not self._above.eof_received():
            self.close()

    def _flush(self) -> None:
        if self._outgoing.pending:
            self._raw.write(self._outgoing.read())

    # From above.

    def write(self, data: Any) -> None:  # noqa: ANN401 - bytes, bytearray or memoryview, as asyncio has it
        """Send bytes."""
        if self._closing:
            return
        view = memoryview(data)
        for at in range(0, len(view), _RECORD):
            self._tls.write(view[at : at + _RECORD])
        self._flush()

    def write_eof(self) -> None:
        """Say that nothing more will be sent, and go on reading."""
        try:
            self._tls.unwrap()
        except ssl.SSLError:
            # The other side has not said so yet; its own end comes when it wants.
            pass
        self._flush()
        if self._raw.can_write_eof():
            self._raw.write_eof()

    def can_write_eof(self) -> bool:
        """It can."""
        return True

    def pause_reading(self) -> None:
        """Call no `data_received` until `resume_reading`."""
        self._paused = True
        if not self._closing:
            self._raw.pause_reading()

    def resume_reading(self) -> None:
        """Go on; what was decrypted meanwhile comes first."""
        if not self._paused:
            return
        self._paused = False
        if not self._closing:
            self._raw.resume_reading()
            asyncio.get_running_loop().call_soon(self._advance)

    def close(self) -> None:
        """End it when all is sent."""
        if not self._closing:
            self.write_eof()
            self._closing = True
            self._raw.close()

    def abort(self) -> None:
        """End it now."""
        self._closing = True
        self._raw.abort()

    def is_closing(self) -> bool:
        """Whether it is ending."""
        return self._closing

    def get_extra_info(self, name: str, default: Any = None) -> Any:  # noqa: ANN401 - asyncio's own signature
        """As the network's transport has it."""
        return self._raw.get_extra_info(name, default)

    def get_write_buffer_size(self) -> int:
        """Bytes not yet sent."""
        return self._raw.get_write_buffer_size()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """As the network's transport has it."""
        self._raw.set_write_buffer_limits(high, low)

    def relay(self) -> socket.socket:
        """Become a relay: one end of a socket pair is returned, the other is carried to the client and back."""
        ours, theirs = socket.socketpair()
        for end in (ours, theirs):
            end.setblocking(False)
        self._raw.set_write_buffer_limits(_HIGH)
        self._above = _Relay(self, ours, self._ended)
        return theirs


class TlsProtocol(asyncio.Protocol):
    """Sits on the network's transport and feeds a `TlsTransport`."""

    def __init__(self, context: ssl.SSLContext, above: asyncio.Protocol) -> None:
        self._context = context
        self._above = above
        self._transport: TlsTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the handshake."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = TlsTransport(transport, self._context, self._above)

    def data_received(self, data: bytes) -> None:
        """Pass it on."""
        self._transport.feed(data)

    def eof_received(self) -> bool:
        """Pass it on; the transport above decides when to close."""
        self._transport.feed_eof()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """Pass it on."""
        self._transport.lost(exc)

    def pause_writing(self) -> None:
        """Pass it on."""
        self._transport.raw_full(True)

    def resume_writing(self) -> None:
        """Pass it on."""
        self._transport.raw_full(False)


class _Relay(asyncio.Protocol):
    """Above the TLS transport once it is a relay: client → pair and, through `_Local`, pair → client."""

    def __init__(self, client: TlsTransport, ours: socket.socket, ended: bool) -> None:
        self._client = client
        self._ended = ended
        self._local = _Local(self)
        self._held: list[bytes] = []
        self.transport: asyncio.Transport | None = None
        loop = asyncio.get_running_loop()
        self._connecting = loop.create_task(self._connect(loop, ours))

    async def _connect(self, loop: asyncio.AbstractEventLoop, ours: socket.socket) -> None:
        transport, _ = await loop.create_connection(lambda: self._local, sock=ours)
        self.transport = transport
        if self._ended:
            transport.write_eof()
        elif self._client.is_closing():
            transport.abort()
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
