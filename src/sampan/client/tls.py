"""TLS to a daemon on TCP. Kept apart: the `ssl` module costs 30 ms and a unix socket never needs it.

`ssl.SSLSocket` cannot say "no more input" and go on reading: its `unwrap` waits for the peer's own end and chokes on data that
is still under way. Attach and exec need exactly that (RFC 8446, 6.1: close_notify ends one direction), so the records go
through memory here, and the end of input is written while nothing waits to be read.
"""

from __future__ import annotations

import ssl

from sampan.client.failures import DaemonUnreachable

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket

    from sampan.client.address import Address, Tls
    from sampan.client.wire import Endpoint

CHUNK = 65536
_ENDED = (ssl.SSLZeroReturnError, ssl.SSLEOFError)


class SecureStream:
    """A socket's interface over TLS records. `holding`: bytes wait for the socket to take them; `send(b"")` tries again."""

    def __init__(self, plain: _socket.socket, context: ssl.SSLContext, server_name: str) -> None:
        self._plain = plain
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._records = context.wrap_bio(self._incoming, self._outgoing, server_hostname=server_name)
        self._unsent = b""
        self._early: list[bytes] = []  # decrypted before the end of our input was written

    def handshake(self) -> None:
        """Until both sides trust each other. Raises ssl.SSLError or OSError."""
        while True:
            try:
                self._records.do_handshake()
            except ssl.SSLWantReadError:
                self._flush()
                self._feed()
                continue
            self._flush()
            return

    @property
    def holding(self) -> bool:
        """Whether records wait for the socket."""
        return bool(self._unsent) or self._outgoing.pending > 0

    def recv(self, size: int, /) -> bytes:
        """Decrypted bytes; b"" at the peer's end. BlockingIOError where a non-blocking socket has no whole record yet."""
        if self._early:
            return self._early.pop(0)
        while True:
            try:
                return self._records.read(size)
            except ssl.SSLWantReadError:
                self._flush()
                self._feed()
            except _ENDED:
                return b""

    def _feed(self) -> None:
        data = self._plain.recv(CHUNK)
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()

    def send(self, data: bytes, /) -> int:
        """Encrypt all of `data` once what waited before is gone; BlockingIOError until then."""
        self._flush()
        if self._unsent:
            raise BlockingIOError
        if data:
            self._records.write(data)
            self._flush()
        return len(data)

    def sendall(self, data: bytes, /) -> None:
        """All of `data`; for a blocking socket."""
        for at in range(0, len(data), CHUNK):
            self._records.write(data[at : at + CHUNK])
            self._flush()

    def _flush(self) -> None:
        self._unsent += self._outgoing.read()
        while self._unsent:
            try:
                sent = self._plain.send(self._unsent)
            except BlockingIOError:
                return
            self._unsent = self._unsent[sent:]

    def shutdown(self, _how: int, /) -> None:
        """Tell the peer that no input follows (close_notify), and go on reading."""
        while True:  # what has arrived is decrypted first: the alert is written with nothing left to read
            try:
                piece = self._records.read(CHUNK)
            except ssl.SSLWantReadError:
                break
            except _ENDED:
                break
            self._early.append(piece)
        try:
            self._records.unwrap()
        except (ssl.SSLWantReadError, *_ENDED):
            pass  # written; the peer's own end is not waited for
        self._flush()

    def settimeout(self, seconds: float | None, /) -> None:
        """As with sockets."""
        self._plain.settimeout(seconds)

    def fileno(self) -> int:
        """The socket's descriptor."""
        return self._plain.fileno()

    def close(self) -> None:
        """Give the socket back."""
        self._plain.close()


def secure(plain: _socket.socket, address: Address, material: Tls, timeout: float) -> Endpoint:
    """Shake hands over `plain`, which is owned by the result from here on. DaemonUnreachable when either side refuses."""
    try:
        stream = SecureStream(plain, _context(material), material.server_name or address.host)
        plain.settimeout(timeout)
        stream.handshake()
        plain.settimeout(None)
    except (OSError, ssl.SSLError) as error:
        plain.close()
        raise DaemonUnreachable(f"error during connect: {address.text}: {error}") from error
    return stream


def _context(material: Tls) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if not material.verify:
        # Docker's bare --tls: encrypted, the server not checked. --tlsverify is what anyone should use.
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif material.ca:
        context.load_verify_locations(cafile=material.ca)
    else:
        context.load_default_certs()
    if material.cert:
        context.load_cert_chain(material.cert, material.key)
    return context
