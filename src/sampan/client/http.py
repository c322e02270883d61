"""HTTP/1.1 as the Engine API needs it: one request, one bounded head, a body by length, in chunks or until the end.

Source: RFC 9112. What a daemon sends is not trusted: heads and chunk lines are bounded, lengths are digits and nothing else.
"""

from __future__ import annotations

from sampan.client.failures import BrokenConversation

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sampan.client.wire import Wire

MAX_HEAD = 65536
MAX_LINE = 8192
MAX_BODY = 256 * 1024 * 1024  # a whole document held in memory, e.g. the list of many containers; streams have no bound
_TOKEN_BREAKERS = ("\r", "\n", "\0")


class Response:
    """The head of an answer, and its body as it arrives. Read the body to its end before the wire is used again."""

    __slots__ = ("_chunked", "_left", "finished", "headers", "status", "wire")

    def __init__(self, wire: Wire, status: int, headers: dict[str, str], bodiless: bool) -> None:
        self.wire = wire
        self.status = status
        self.headers = headers
        self._chunked = False
        self._left = -1
        self.finished = False
        if bodiless or status in (204, 304) or 100 <= status < 200:
            self.finished = True
        elif "chunked" in headers.get("transfer-encoding", "").lower():
            self._chunked = True
            self._left = 0
        elif "content-length" in headers:
            self._left = _length(headers["content-length"], 10)
            self.finished = self._left == 0

    @property
    def reusable(self) -> bool:
        """Whether the wire can carry another request."""
        framed = self._chunked or self._left >= 0 or self.status in (204, 304)
        return self.finished and framed and self.headers.get("connection", "").lower() != "close"

    def pieces(self) -> Iterator[bytes]:
        """The body as it arrives; ends with it. BrokenConversation when the peer ends before the body does."""
        while not self.finished:
            if self._chunked and self._left == 0 and not self._next_chunk():
                return
            data = self.wire.receive()
            if not data:
                if self._left >= 0:
                    raise BrokenConversation("unexpected EOF")
                self.finished = True
                return
            if self._left >= 0:
                data = self._account(data)
            yield data

    def _account(self, data: bytes) -> bytes:
        if len(data) > self._left:
            self.wire.buffer = data[self._left :] + self.wire.buffer
            data = data[: self._left]
        self._left -= len(data)
        if self._left == 0:
            if self._chunked:
                _expect_line_end(self.wire)
            else:
                self.finished = True
        return data

    def _next_chunk(self) -> bool:
        size = _length(_line(self.wire).partition(";")[0].strip(), 16)
        if size:
            self._left = size
            return True
        while _line(self.wire):
            pass  # trailers: read away, none means anything here
        self.finished = True
        return False

    def read(self, limit: int = MAX_BODY) -> bytes:
        """The whole body; BrokenConversation when it is larger than `limit` bytes."""
        parts: list[bytes] = []
        total = 0
        for piece in self.pieces():
            total += len(piece)
            if total > limit:
                raise BrokenConversation(f"the answer is larger than {limit} bytes")
            parts.append(piece)
        return b"".join(parts)


def _length(text: str, base: int) -> int:
    digits = "0123456789" if base == 10 else "0123456789abcdefABCDEF"
    if not text or len(text) > 18 or any(letter not in digits for letter in text):
        raise BrokenConversation(f"malformed length {text[:40]!r} in the answer")
    return int(text, base)


def _line(wire: Wire) -> str:
    while (end := wire.buffer.find(b"\r\n")) < 0:
        if len(wire.buffer) > MAX_LINE:
            raise BrokenConversation("a line of the answer is too long")
        if not wire.fill():
            raise BrokenConversation("unexpected EOF")
    line, wire.buffer = wire.buffer[:end], wire.buffer[end + 2 :]
    return str(line, "latin-1")


def _expect_line_end(wire: Wire) -> None:
    while len(wire.buffer) < 2:
        if not wire.fill():
            raise BrokenConversation("unexpected EOF")
    if wire.buffer[:2] != b"\r\n":
        raise BrokenConversation("malformed chunk in the answer")
    wire.buffer = wire.buffer[2:]


def request_head(method: str, target: str, host: str, headers: Iterable[tuple[str, str]]) -> bytes:
    """The bytes of a request's head. A field with a line break in it is refused: it would smuggle a second field."""
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}"]
    for name, value in headers:
        if any(breaker in name or breaker in value for breaker in _TOKEN_BREAKERS):
            raise BrokenConversation(f"the header {name!r} holds a line break")
        lines.append(f"{name}: {value}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")


def read_response(wire: Wire, to_head: bool = False) -> Response:
    """The next response on `wire`; interim 1xx answers but 101 are skipped. `to_head`: the request was a HEAD."""
    while True:
        status, headers = _read_head(wire)
        if status == 101 or status >= 200:
            return Response(wire, status, headers, bodiless=to_head)


def _read_head(wire: Wire) -> tuple[int, dict[str, str]]:
    while (end := wire.buffer.find(b"\r\n\r\n")) < 0:
        if len(wire.buffer) > MAX_HEAD:
            raise BrokenConversation("the head of the answer is too long")
        if not wire.fill():
            raise BrokenConversation("the daemon closed the connection without an answer" if not wire.buffer else "EOF")
    if end > MAX_HEAD:
        raise BrokenConversation("the head of the answer is too long")
    head, wire.buffer = wire.buffer[:end], wire.buffer[end + 4 :]
    first, *lines = str(head, "latin-1").split("\r\n")
    version, _, rest = first.partition(" ")
    code = rest[:3]
    if not version.startswith("HTTP/1.") or not (code.isascii() and code.isdigit() and len(code) == 3):
        raise BrokenConversation(f"malformed HTTP response {first[:80]!r}")
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon:
            raise BrokenConversation(f"malformed header {line[:80]!r} in the answer")
        headers[name.lower()] = value.strip()
    return int(code), headers


def chunk(data: bytes) -> bytes:
    """`data` as one chunk of a chunked request body; b"" makes the closing one."""
    return b"%x\r\n%b\r\n" % (len(data), data)
