"""TLS between a raw transport and the connection above it, with half-close.

asyncio's own TLS ends the connection when the client's side is closed (`docker run -i` closes it when its input ends),
and cannot be given to another protocol in its midst. This one reads on after its own side was closed and the other way
round, as TLS 1.3 has it (RFC 8446 section 6.1).
"""

import asyncio
import ssl
from typing import Any

_RECORD = 16 * 1024
_HANDSHAKE_SECONDS = 30.0


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
        """As the network's transport has it, and `ssl_object`."""
        return self._tls if name == "ssl_object" else self._raw.get_extra_info(name, default)

    def get_write_buffer_size(self) -> int:
        """Bytes not yet sent."""
        return self._raw.get_write_buffer_size()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """As the network's transport has it."""
        self._raw.set_write_buffer_limits(high, low)

    @property
    def ended(self) -> bool:
        """Whether the client has said that it sends no more."""
        return self._ended

    def pass_to(self, above: asyncio.Protocol) -> None:
        """Another protocol stands above from now on."""
        self._above = above


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
