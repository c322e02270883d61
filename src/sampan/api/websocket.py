"""WebSocket (RFC 6455), the server's side: the handshake, and frames in and out. No I/O.

What a message says goes through as bytes, as in Docker: whether it came as text or binary, in one frame or in many, makes
no difference, and text is not checked for UTF-8. Payloads are passed on as they come, so no frame is ever kept whole; a
control frame has at most 125 bytes.
"""

import base64
import binascii
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from struct import Struct

from sampan.errors import InvalidParameter

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
NORMAL, PROTOCOL_ERROR = 1000, 1002

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_FIN, _RESERVED, _OPCODE, _MASKED, _LENGTH = 0x80, 0x70, 0x0F, 0x80, 0x7F
_CONTROL = 0x8
_SHORT, _LONG = Struct(">H"), Struct(">Q")
_MOST_CONTROL = 125


@dataclass(frozen=True, slots=True)
class Upgrade:
    """An accepted handshake: what its answer says, and the kind of the frames that follow."""

    accept: str
    protocol: str
    """the one subprotocol that the client offered; "" for none"""
    opcode: int


class BadHandshake(InvalidParameter):
    """The request does not ask for a websocket, or for one of another version than 13."""


def handshake(headers: Mapping[bytes, bytes], opcode: int) -> Upgrade:
    """The answer to a request's headers (by lower-case name). Raises BadHandshake."""
    if b"websocket" not in _tokens(headers, b"upgrade") or b"upgrade" not in _tokens(headers, b"connection"):
        raise BadHandshake("not websocket protocol")
    if headers.get(b"sec-websocket-version", b"").strip() != b"13":
        raise BadHandshake("missing or bad WebSocket Version")
    key = headers.get(b"sec-websocket-key", b"").strip()
    try:
        if len(base64.b64decode(key, validate=True)) != 16:
            raise BadHandshake("mismatch challenge/response")
    except binascii.Error as error:
        raise BadHandshake("mismatch challenge/response") from error
    offered = headers.get(b"sec-websocket-protocol", b"").strip()
    if b"," in offered:
        raise BadHandshake("bad WebSocket protocol")
    # SHA-1 is what the protocol has; nothing is kept secret by it.
    accept = base64.b64encode(hashlib.sha1(key + _GUID, usedforsecurity=False).digest())
    return Upgrade(accept.decode(), offered.decode("latin-1"), opcode)


def _tokens(headers: Mapping[bytes, bytes], name: bytes) -> set[bytes]:
    return {token.strip().lower() for token in headers.get(name, b"").split(b",")}


def frame(opcode: int, payload: bytes) -> bytes:
    """One whole frame, unmasked, as a server's are."""
    size = len(payload)
    if size <= _MOST_CONTROL:
        head = bytes((_FIN | opcode, size))
    elif size < 1 << 16:
        head = bytes((_FIN | opcode, 126)) + _SHORT.pack(size)
    else:
        head = bytes((_FIN | opcode, 127)) + _LONG.pack(size)
    return head + payload


def closing(code: int) -> bytes:
    """The frame that ends a connection."""
    return frame(CLOSE, _SHORT.pack(code))


class Inbound:
    """Reads a client's frames. `replies` collects what is to be sent back; the caller takes it."""

    def __init__(self) -> None:
        self.replies = bytearray()
        self.closed = False
        """the client has closed, or broken the protocol: nothing more is read, and `replies` ends with the close frame"""
        self._buffer = bytearray()
        """the begin of a frame whose head, or in a control frame whose payload, is not complete"""
        self._left = 0
        self._mask = b""
        self._in_message = False

    def feed(self, data: bytes) -> bytes:
        """Take bytes, cut anywhere; returns what messages say in them."""
        said: list[bytes] = []
        self._buffer += data
        while not self.closed:
            if self._left:
                piece = bytes(self._buffer[: self._left])
                if not piece:
                    break
                del self._buffer[: len(piece)]
                said.append(self._unmasked(piece))
            elif not self._begin():
                break
        return b"".join(said)

    def _unmasked(self, piece: bytes) -> bytes:
        size = len(piece)
        plain = _xor(piece, self._mask)
        # The next piece goes on in the middle of the mask.
        turn = size % 4
        self._mask = self._mask[turn:] + self._mask[:turn]
        self._left -= size
        return plain

    def _begin(self) -> bool:
        """Read the head of a frame; a control frame whole. False where more bytes are needed."""
        if len(self._buffer) < 2:
            return False
        first, second = self._buffer[:2]
        opcode, short = first & _OPCODE, second & _LENGTH
        if first & _RESERVED or not second & _MASKED or not self._is_expected(opcode, bool(first & _FIN), short):
            self._fail()
            return False
        at = 2 + {126: 2, 127: 8}.get(short, 0)
        if len(self._buffer) < at + 4:
            return False
        size = short if at == 2 else int.from_bytes(self._buffer[2:at], "big")
        if (at == 4 and size <= _MOST_CONTROL) or (at == 10 and not 1 << 16 <= size < 1 << 63):
            self._fail()
            return False
        if opcode & _CONTROL and len(self._buffer) < at + 4 + size:
            return False
        self._mask = bytes(self._buffer[at : at + 4])
        del self._buffer[: at + 4]
        if opcode & _CONTROL:
            payload = _xor(bytes(self._buffer[:size]), self._mask)
            del self._buffer[:size]
            self._control(opcode, payload)
        else:
            self._left = size
            self._in_message = not first & _FIN
        return True

    def _is_expected(self, opcode: int, whole: bool, short: int) -> bool:
        if opcode & _CONTROL:
            return opcode in (CLOSE, PING, PONG) and whole and short <= _MOST_CONTROL
        return opcode == CONTINUATION if self._in_message else opcode in (TEXT, BINARY)

    def _control(self, opcode: int, payload: bytes) -> None:
        if opcode == PING:
            self.replies += frame(PONG, payload)
        elif opcode == CLOSE and len(payload) == 1:
            self._fail()
        elif opcode == CLOSE:
            self.replies += frame(CLOSE, payload[:2])
            self.closed = True

    def _fail(self) -> None:
        self.replies += closing(PROTOCOL_ERROR)
        self.closed = True


def _xor(data: bytes, mask: bytes) -> bytes:
    size = len(data)
    key = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(data, "little") ^ int.from_bytes(key, "little")).to_bytes(size, "little")
