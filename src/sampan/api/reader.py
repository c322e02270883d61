"""Requests out of bytes (RFC 9112), without any I/O: heads, bodies by length or in chunks, and what lies behind them.

Strict where leniency only serves attackers: no bare line feeds, no folded lines, no white space before a colon, no body
framed in two ways. A library (h11) took three times as long, more than everything else a small request needs; it is
the oracle in the tests.
"""

import re
from dataclasses import dataclass

_HEAD_BYTES = 64 * 1024
_TRAILER_BYTES = 8 * 1024
_CHUNK_LINE_BYTES = 256

_REQUEST_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([!-~\x80-\xff]+) HTTP/([0-9])\.([0-9])")
_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_FORBIDDEN = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\r(?!\n)|(?<!\r)\n")
_LENGTH = re.compile(rb"[0-9]{1,18}")
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\x00-\x08\x0a-\x1f\x7f]*)?")
_ALONE = frozenset((b"content-length", b"transfer-encoding", b"host"))

NOTHING, BY_LENGTH, CHUNKED = range(3)


class Malformed(Exception):
    """What came is no request; `status` tells the client in which way."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


@dataclass(frozen=True, slots=True)
class Head:
    """Request line and header fields. Names in lower case; a field sent more than once has its values joined."""

    method: str
    target: str
    headers: dict[bytes, bytes]
    minor: int
    """1 for HTTP/1.1, 0 for HTTP/1.0."""
    has_body: bool


class RequestReader:
    """Fed with bytes; `head`, then `chunk` until it is empty, then `head` again. Not to be used after Malformed."""

    __slots__ = ("_at", "_buffer", "_framing", "_in_chunk", "_left", "_seen")

    def __init__(self) -> None:
        self._buffer = b""
        self._at = 0
        self._seen = 0
        self._framing = NOTHING
        self._left = 0
        self._in_chunk = False

    def feed(self, data: bytes) -> None:
        """More bytes from the client."""
        if self._at == len(self._buffer):
            self._buffer, self._seen = data, 0
        else:
            self._buffer = self._buffer[self._at :] + data
            self._seen = max(self._seen - self._at, 0)
        self._at = 0

    @property
    def begun(self) -> bool:
        """Whether bytes are there that were not taken yet."""
        return self._at < len(self._buffer)

    def take_rest(self) -> bytes:
        """Everything that was not taken yet; the reader is empty afterwards."""
        rest = self._buffer[self._at :]
        self._buffer, self._at, self._seen = b"", 0, 0
        return rest

    def head(self) -> Head | None:
        """The next request's head; None where more bytes are needed. Raises Malformed."""
        buffer = self._buffer
        # RFC 9112 section 2.2: an empty line in front of a request is to be ignored.
        while buffer.startswith(b"\r\n", self._at):
            self._at += 2
        end = buffer.find(b"\r\n\r\n", max(self._at, self._seen - 3))
        if end < 0:
            self._seen = len(buffer)
            if len(buffer) - self._at > _HEAD_BYTES:
                raise Malformed(431, "the request's head is too large")
            return None
        if end - self._at > _HEAD_BYTES:
            raise Malformed(431, "the request's head is too large")
        raw = buffer[self._at : end]
        self._at = end + 4
        self._seen = 0
        return self._parse(raw)

    def _parse(self, raw: bytes) -> Head:
        if _FORBIDDEN.search(raw):
            raise Malformed(400, "control characters in the request's head")
        lines = raw.split(b"\r\n")
        first = _REQUEST_LINE.fullmatch(lines[0])
        if first is None:
            raise Malformed(400, "malformed request line")
        method, target, major, minor = first.groups()
        if major != b"1":
            raise Malformed(505, "not HTTP/1")
        headers: dict[bytes, bytes] = {}
        for line in lines[1:]:
            name, colon, value = line.partition(b":")
            if not colon or _TOKEN.fullmatch(name) is None:
                raise Malformed(400, "malformed header field")
            name = name.lower()
            value = value.strip(b" \t")
            if name in headers:
                if name in _ALONE:
                    raise Malformed(400, "a header field that may stand once stands twice")
                value = headers[name] + b", " + value
            headers[name] = value
        if minor != b"0" and b"host" not in headers:
            raise Malformed(400, "missing required Host header")
        self._frame(headers, minor)
        return Head(
            method.decode("ascii"), target.decode("latin-1"), headers, min(int(minor), 1), self._framing != NOTHING
        )

    def _frame(self, headers: dict[bytes, bytes], minor: bytes) -> None:
        """How the body is delimited (RFC 9112 section 6)."""
        length = headers.get(b"content-length")
        coding = headers.get(b"transfer-encoding")
        self._framing, self._left, self._in_chunk = NOTHING, 0, False
        if coding is not None:
            if length is not None or minor == b"0":
                raise Malformed(400, "a body framed in two ways")
            if coding.lower() != b"chunked":
                raise Malformed(501, "unsupported transfer coding")
            self._framing = CHUNKED
        elif length is not None:
            if _LENGTH.fullmatch(length) is None:
                raise Malformed(400, "malformed Content-Length")
            self._left = int(length)
            self._framing = BY_LENGTH if self._left else NOTHING

    def chunk(self) -> bytes | None:
        """The next bytes of the body, b"" at its end, None where more are needed. Raises Malformed."""
        if self._framing == NOTHING:
            return b""
        if self._framing == CHUNKED and not self._left and not self._begin_chunk():
            return None if self._framing == CHUNKED else b""
        if not self.begun:
            return None
        until = min(self._at + self._left, len(self._buffer))
        piece = self._buffer[self._at : until]
        self._at = until
        self._left -= len(piece)
        if self._framing == BY_LENGTH and not self._left:
            self._framing = NOTHING
        return piece

    def _begin_chunk(self) -> bool:
        """Read the line that says how long the next chunk is; False where it is not all there, or it was the last."""
        if self._in_chunk:
            if len(self._buffer) - self._at < 2:
                return False
            if not self._buffer.startswith(b"\r\n", self._at):
                raise Malformed(400, "malformed chunk")
            self._at += 2
            self._in_chunk = False
        end = self._buffer.find(b"\r\n", self._at, self._at + _CHUNK_LINE_BYTES)
        if end < 0:
            if len(self._buffer) - self._at >= _CHUNK_LINE_BYTES:
                raise Malformed(400, "malformed chunk")
            return False
        line = _CHUNK.fullmatch(self._buffer, self._at, end)
        if line is None:
            raise Malformed(400, "malformed chunk")
        size = int(line[1], 16)
        if not size:
            return self._end_chunks(end)
        self._at = end + 2
        self._left = size
        self._in_chunk = True
        return True

    def _end_chunks(self, line_end: int) -> bool:
        """Past the last chunk's line, and past trailer fields, which nobody asked for. Always False."""
        end = self._buffer.find(b"\r\n\r\n", line_end)
        if end >= 0:
            self._at = end + 4
            self._framing = NOTHING
        elif len(self._buffer) - line_end > _TRAILER_BYTES:
            raise Malformed(400, "malformed trailer")
        return False
