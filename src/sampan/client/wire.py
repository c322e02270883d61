"""One connection to a daemon: bytes out, bytes in through a small buffer, and nothing of HTTP."""

from __future__ import annotations

import _socket

from sampan.client.failures import BrokenConversation, DaemonUnreachable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    from sampan.client.address import Address

    class Endpoint(Protocol):
        """What a plain and a TLS socket have in common here."""

        def recv(self, size: int, /) -> bytes: ...  # noqa: D102 - as `socket.socket` has them, all seven
        def send(self, data: bytes, /) -> int: ...  # noqa: D102
        def sendall(self, data: bytes, /) -> None: ...  # noqa: D102
        def shutdown(self, how: int, /) -> None: ...  # noqa: D102
        def settimeout(self, seconds: float | None, /) -> None: ...  # noqa: D102
        def fileno(self) -> int: ...  # noqa: D102
        def close(self) -> None: ...  # noqa: D102


CHUNK = 65536
CONNECT_TIMEOUT = 10.0


class Wire:
    """A connected stream with a read buffer. Not shared between threads; `close` may be called twice."""

    __slots__ = ("_closed", "_endpoint", "buffer", "tls")

    def __init__(self, endpoint: Endpoint, tls: bool) -> None:
        self._endpoint = endpoint
        self._closed = False
        self.buffer = b""
        self.tls = tls

    def send(self, data: bytes) -> None:
        """Write all of `data`; BrokenConversation when the daemon has gone."""
        try:
            self._endpoint.sendall(data)
        except OSError as error:
            raise BrokenConversation(f"error during write: {error}") from error

    def send_some(self, data: bytes) -> int:
        """Write what fits without waiting: 0 when nothing does. The endpoint has to be non-blocking (`set_timeout(0)`)."""
        try:
            return self._endpoint.send(data)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise BrokenConversation(f"error during write: {error}") from error

    def receive(self) -> bytes | None:
        """The next bytes: buffered ones first, b"" at the end of the stream, None when a non-blocking wire has none yet."""
        if self.buffer:
            data, self.buffer = self.buffer, b""
            return data
        try:
            return self._endpoint.recv(CHUNK)
        except BlockingIOError:
            return None
        except TimeoutError as error:
            raise DaemonUnreachable("the daemon did not answer in time", silent=True) from error
        except ConnectionResetError:
            return b""
        except OSError as error:
            raise BrokenConversation(f"error during read: {error}") from error

    def fill(self) -> bool:
        """Add to the buffer what comes next; False at the end of the stream."""
        held, self.buffer = self.buffer, b""
        data = self.receive() or b""
        self.buffer = held + data
        return bool(data)

    def close_writing(self) -> None:
        """Tell the peer that no more input follows, and go on reading."""
        try:
            self._endpoint.shutdown(_socket.SHUT_WR)
        except OSError:
            pass  # the peer has gone already: the reading side will say so

    @property
    def holding(self) -> bool:
        """Whether bytes that `send_some` took still wait for the socket: `send_some(b"")` tries again."""
        return self.tls and bool(getattr(self._endpoint, "holding", False))

    def set_timeout(self, seconds: float | None) -> None:
        """None waits for ever, 0 never, as with sockets."""
        self._endpoint.settimeout(seconds)

    def fileno(self) -> int:
        """The descriptor, for polling."""
        return self._endpoint.fileno()

    def close(self) -> None:
        """Give the descriptor back."""
        if not self._closed:
            self._closed = True
            self._endpoint.close()


def connect(address: Address, timeout: float = CONNECT_TIMEOUT) -> Wire:
    """A new connection to `address`; DaemonUnreachable in Docker's words when nobody is there."""
    if address.scheme == "unix":
        return Wire(_connect_unix(address, timeout), tls=False)
    plain = _connect_tcp(address, timeout)
    if address.tls is None:
        return Wire(plain, tls=False)
    from sampan.client.tls import secure

    return Wire(secure(plain, address, address.tls, timeout), tls=True)


def _connect_unix(address: Address, timeout: float) -> _socket.socket:
    endpoint = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        endpoint.settimeout(timeout)
        endpoint.connect(address.path)
        endpoint.settimeout(None)
    except PermissionError as error:
        endpoint.close()
        raise DaemonUnreachable(
            f"permission denied while trying to connect to the daemon socket at {address.text}: {error.strerror}"
        ) from error
    except OSError as error:
        endpoint.close()
        silent = isinstance(error, (TimeoutError, BlockingIOError))
        raise DaemonUnreachable(_nobody(address), silent) from error
    return endpoint


def _connect_tcp(address: Address, timeout: float) -> _socket.socket:
    try:
        # bytes, because a str goes through the idna codec, whose import costs more than the whole request
        found = _socket.getaddrinfo(address.host.encode(), address.port, 0, _socket.SOCK_STREAM)
    except OSError as error:
        raise DaemonUnreachable(f"error during connect: lookup {address.host}: {error.strerror}") from error
    last: OSError | None = None
    for family, kind, protocol, _, target in found:
        endpoint = _socket.socket(family, kind, protocol)
        try:
            endpoint.settimeout(timeout)
            endpoint.connect(target)
            endpoint.settimeout(None)
            endpoint.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
        except OSError as error:
            endpoint.close()
            last = error
            continue
        return endpoint
    raise DaemonUnreachable(_nobody(address)) from last


def _nobody(address: Address) -> str:
    return f"Cannot connect to the Docker daemon at {address.text}. Is the docker daemon running?"
