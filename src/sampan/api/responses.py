"""What a route answers, and the bytes of its head."""

import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from functools import lru_cache
from time import gmtime, time
from typing import Any

from sampan.api.status import REASONS, status_of
from sampan.api.websocket import Upgrade
from sampan.errors import HOST_TROUBLE, host_fault
from sampan.spec.document import encode
from sampan.spec.requests import Taker
from sampan.telemetry.request_id import HEADER

JSON = "application/json"
RAW_STREAM = "application/vnd.docker.raw-stream"
MULTIPLEXED_STREAM = "application/vnd.docker.multiplexed-stream"

Headers = tuple[tuple[str, str], ...]
Carry = Callable[[socket.socket, bool], Awaitable[bool]]
"""See `backend.LogStream.carry`."""


@dataclass(frozen=True, slots=True)
class Response:
    """An answer that is complete. No body is sent with 204 and 304, nor to HEAD."""

    status: int = 200
    body: bytes = b""
    content_type: str = JSON
    headers: Headers = ()


@dataclass(frozen=True, slots=True)
class Stream:
    """An answer that grows. The head goes out at once, each chunk when it comes.

    The iterator is closed when the client has gone. Where it raises, the connection is broken off, so that the client
    can tell; a route that can say more within its format catches the error itself.
    """

    chunks: AsyncIterator[bytes]
    content_type: str = JSON
    status: int = 200
    headers: Headers = ()
    carry: Carry | None = None
    """Who can go on with the bare connection behind the head, in place of `chunks`."""


@dataclass(frozen=True, slots=True)
class Handover:
    """The connection is given away: `target` takes it once the head is written. As a websocket it speaks frames from then on."""

    target: Taker
    content_type: str
    websocket: Upgrade | None = None
    protocol: str = ""
    """What the client switches to (`h2c`); "" for the bare stream that Docker's clients call tcp."""


Answer = Response | Stream | Handover


def json_response(document: Any, status: int = 200) -> Response:  # noqa: ANN401 - any Document or list of them
    """`document` as JSON with a newline behind it, as Go's encoder leaves it."""
    return Response(status, encode(document) + b"\n")


NO_CONTENT = Response(204)
EMPTY = Response(200, b"", "")
"""Done, and nothing to say: no type and no bytes."""


def failure(error: BaseException) -> Response:
    """What tells a client of `error`. Only what is meant for users is shown."""
    status = status_of(error)
    if status == 304:
        return Response(304)
    return json_response({"message": words(error)}, status)


def words(error: BaseException) -> str:
    """What tells a user of `error`: Docker's kind of words also for what no room gave a meaning, a disk that is full."""
    if isinstance(error, OSError) and error.errno in HOST_TROUBLE:
        return host_fault(error)
    return str(error) or type(error).__name__


class Heads:
    """Writes response heads for one server name. Fixed lines are made once for each status and type."""

    def __init__(self, server: str, api_version: str, experimental: bool = False) -> None:
        self._fixed = (
            f"Api-Version: {api_version}\r\nDocker-Experimental: {str(experimental).lower()}\r\nOstype: linux\r\n"
            f"Server: {server}\r\n"
        )
        self._start = lru_cache(maxsize=128)(self._make_start)

    def _make_start(self, status: int, content_type: str) -> str:
        start = f"HTTP/1.1 {status} {REASONS[status]}\r\n{self._fixed}"
        return f"{start}Content-Type: {content_type}\r\n" if content_type and status not in (204, 304) else start

    def complete(self, response: Response, close: bool, request: str) -> bytes:
        """The head of a complete answer, with its length. `request` is the id of what is answered."""
        lines = [self._start(response.status, response.content_type), _date(int(time()))]
        if response.status not in (204, 304):
            lines.append(f"Content-Length: {len(response.body)}\r\n")
        lines.append(f"{HEADER}: {request}\r\n")
        return _finish(lines, response.headers, close)

    def stream(self, stream: Stream, chunked: bool, close: bool, request: str) -> bytes:
        """The head of an answer whose length nobody knows."""
        lines = [self._start(stream.status, stream.content_type), _date(int(time()))]
        if chunked:
            lines.append("Transfer-Encoding: chunked\r\n")
        lines.append(f"{HEADER}: {request}\r\n")
        return _finish(lines, stream.headers, close)

    def upgrade(self, content_type: str, upgraded: bool, protocol: str = "") -> bytes:
        """The head before a connection is given away; Docker sends these lines and no others."""
        if protocol:
            head = f"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: {protocol}\r\n\r\n"
        elif upgraded:
            head = (
                f"HTTP/1.1 101 UPGRADED\r\nContent-Type: {content_type}\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
            )
        else:
            head = f"HTTP/1.1 200 OK\r\nContent-Type: {RAW_STREAM}\r\n\r\n"
        return head.encode()

    def websocket(self, upgrade: Upgrade) -> bytes:
        """The head before frames."""
        lines = ["HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"]
        lines.append(f"Sec-WebSocket-Accept: {upgrade.accept}\r\n")
        if upgrade.protocol:
            lines.append(f"Sec-WebSocket-Protocol: {upgrade.protocol}\r\n")
        return _finish(lines, (), close=False)


def _finish(lines: list[str], headers: Headers, close: bool) -> bytes:
    lines += [f"{name}: {value}\r\n" for name, value in headers]
    lines.append("Connection: close\r\n\r\n" if close else "\r\n")
    return "".join(lines).encode("latin-1")


_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@lru_cache(maxsize=1)
def _date(second: int) -> str:
    """The Date line; not by strftime, whose names follow the locale."""
    at = gmtime(second)
    day, month = _DAYS[at.tm_wday], _MONTHS[at.tm_mon - 1]
    return f"Date: {day}, {at.tm_mday:02} {month} {at.tm_year} {at.tm_hour:02}:{at.tm_min:02}:{at.tm_sec:02} GMT\r\n"


BAD_HEAD = {
    status: (
        f"HTTP/1.1 {status} {REASONS[status]}\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n"
        f"{status} {REASONS[status]}"
    ).encode()
    for status in (400, 408, 431, 501, 505)
}
"""Answers to what could not be read as a request; the connection ends behind them."""
