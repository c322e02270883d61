"""DNS on the wire (RFC 1035, 2308, 6891), as much of it as a resolver for containers needs: strict with what it reads.

A query is one question of class IN without compression; everything else is refused. Of an upstream's response only the times
to live are read: it is passed on as it came. Names are bytes in lower case, with dots and without the last.

Loaded by the launcher.
"""

from __future__ import annotations

import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

A = 1
SOA = 6
PTR = 12
AAAA = 28
_OPT = 41
_IN = 1

FORMAT_ERROR = 1
SERVER_FAILURE = 2
NAME_ERROR = 3
NOT_IMPLEMENTED = 4

QUERY_LIMIT = 1024
"""bytes of a query that is read at all: a name of 255, and room for options"""
MESSAGE_LIMIT = 65535
_PLAIN_SIZE = 512
_OFFERED_SIZE = 1232
_NAME_LIMIT = 255
_LABEL_LIMIT = 63
_RECORD_LIMIT = 512

_HEADER = struct.Struct(">HHHHHH")
_QUESTION = struct.Struct(">HH")
_RECORD = struct.Struct(">HHIH")
_U32 = struct.Struct(">I")

_RESPONSE = 0x8000
_OPCODE = 0x7800
_TRUNCATED = 0x0200
_WANTED = 0x0100
_AVAILABLE = 0x0080
_RCODE = 0x000F


class BadMessage(ValueError):
    """It cannot be read. `code` is what its sender is told."""

    def __init__(self, code: int, words: str) -> None:
        super().__init__(words)
        self.code = code


class Question:
    """One question: `name`, `kind`; `end` is where it ends in its packet, `size` how large an answer by UDP may be."""

    __slots__ = ("end", "has_options", "kind", "name", "size")

    def __init__(self, name: bytes, kind: int, end: int, size: int, has_options: bool) -> None:
        self.name = name
        self.kind = kind
        self.end = end
        self.size = size
        self.has_options = has_options


def parse_query(packet: bytes) -> Question:
    """The question in a query. Raises BadMessage."""
    if not 12 < len(packet) <= QUERY_LIMIT:
        raise BadMessage(FORMAT_ERROR, "size")
    _, flags, questions, answers, authorities, more = _HEADER.unpack_from(packet)
    if flags & _RESPONSE:
        raise BadMessage(FORMAT_ERROR, "a response")
    if flags & _OPCODE:
        raise BadMessage(NOT_IMPLEMENTED, "opcode")
    if questions != 1 or answers or authorities or more > 1:
        raise BadMessage(FORMAT_ERROR, "counts")
    name, end = _read_name(packet, 12)
    if end + 4 > len(packet):
        raise BadMessage(FORMAT_ERROR, "cut")
    kind, kind_of_network = _QUESTION.unpack_from(packet, end)
    if kind_of_network != _IN:
        raise BadMessage(NOT_IMPLEMENTED, "class")
    end += 4
    size = _PLAIN_SIZE
    if more:
        # The root's name, one byte, and the record of options: its class is the size.
        if end + 11 > len(packet) or packet[end] != 0:
            raise BadMessage(FORMAT_ERROR, "options")
        option, size, _, length = _RECORD.unpack_from(packet, end + 1)
        if option != _OPT or end + 11 + length != len(packet):
            raise BadMessage(FORMAT_ERROR, "options")
        size = max(_PLAIN_SIZE, min(size, 4096))
    elif end != len(packet):
        raise BadMessage(FORMAT_ERROR, "more than a question")
    return Question(name, kind, end, size, bool(more))


def _read_name(packet: bytes, offset: int) -> tuple[bytes, int]:
    labels = []
    start = offset
    while True:
        if offset >= len(packet):
            raise BadMessage(FORMAT_ERROR, "cut name")
        length = packet[offset]
        offset += 1
        if length == 0:
            break
        if length > _LABEL_LIMIT or offset + length > len(packet) or offset + length - start > _NAME_LIMIT:
            raise BadMessage(FORMAT_ERROR, "label")
        labels.append(packet[offset : offset + length])
        offset += length
    return b".".join(labels).lower(), offset


def answer(packet: bytes, question: Question, records: Sequence[tuple[int, bytes]], ttl: int, code: int = 0) -> bytes:
    """The response to `packet` with `records` (type, data), all of the name that was asked for."""
    number, flags = struct.unpack_from(">HH", packet)
    head = _HEADER.pack(
        number, _RESPONSE | _AVAILABLE | (flags & _WANTED) | code, 1, len(records), 0, int(question.has_options)
    )
    parts = [head, packet[12 : question.end]]
    for kind, data in records:
        # A pointer to the name in the question.
        parts.append(b"\xc0\x0c" + _RECORD.pack(kind, _IN, ttl, len(data)) + data)
    if question.has_options:
        parts.append(b"\0" + _RECORD.pack(_OPT, _OFFERED_SIZE, 0, 0))
    return b"".join(parts)


def refusal(packet: bytes, code: int) -> bytes:
    """What is said to a packet that cannot be read; empty where it has not even a number, or is a response itself."""
    if len(packet) < 12 or packet[2] & 0x80:
        return b""
    number, flags = struct.unpack_from(">HH", packet)
    return _HEADER.pack(number, _RESPONSE | _AVAILABLE | (flags & (_OPCODE | _WANTED)) | code, 0, 0, 0, 0)


def fitted(response: bytes, question: Question) -> bytes:
    """A response for UDP: what is too large is cut to the question, and marked, so that the client asks by TCP."""
    if len(response) <= question.size:
        return response
    number, flags = struct.unpack_from(">HH", response)
    return _HEADER.pack(number, flags | _TRUNCATED, 1, 0, 0, 0) + response[12 : question.end]


def encoded_name(name: bytes) -> bytes:
    """A name as it stands in a record. Raises BadMessage for what is none."""
    labels = name.split(b".")
    if any(not 0 < len(label) <= _LABEL_LIMIT for label in labels) or len(name) > _NAME_LIMIT - 2:
        raise BadMessage(FORMAT_ERROR, "name")
    return b"".join(bytes((len(label),)) + label for label in labels) + b"\0"


def reverse_address(name: bytes) -> bytes | None:
    """The address that a name below in-addr.arpa or ip6.arpa asks for; None for another name."""
    if name.endswith(b".ip6.arpa"):
        digits = name[: -len(b".ip6.arpa")].split(b".")
        if len(digits) != 32 or any(len(digit) != 1 or digit not in b"0123456789abcdef" for digit in digits):
            return None
        return bytes.fromhex(b"".join(reversed(digits)).decode())
    if not name.endswith(b".in-addr.arpa"):
        return None
    parts = name[: -len(b".in-addr.arpa")].split(b".")
    if len(parts) != 4 or any(not part.isdigit() or len(part) > 3 or int(part) > 255 for part in parts):
        return None
    return bytes(int(part) for part in reversed(parts))


def belongs_to(response: bytes, query: bytes, end: int) -> bool:
    """Whether `response` answers `query`, whose question ends at `end`: the same number, the same question."""
    return (
        len(response) >= end
        and response[:2] == query[:2]
        and bool(response[2] & 0x80)
        and response[4:6] == b"\0\1"
        and response[12:end].lower() == query[12:end].lower()
    )


def is_truncated(response: bytes) -> bool:
    """Whether the sender left something out."""
    return bool(response[2] & 0x02)


class Lifetime:
    """For how many seconds a response may be kept, and where in it times to live stand."""

    __slots__ = ("offsets", "seconds")

    def __init__(self, seconds: int, offsets: tuple[int, ...]) -> None:
        self.seconds = seconds
        self.offsets = offsets


def lifetime(response: bytes, end: int) -> Lifetime:
    """How long an upstream's response holds: the least of its times to live; 0 for what must not be kept.

    A response without an answer holds as long as its SOA record says (RFC 2308). Raises BadMessage.
    """
    _, flags, _, answers, authorities, more = _HEADER.unpack_from(response)
    total = answers + authorities + more
    if flags & _TRUNCATED or flags & _RCODE not in (0, NAME_ERROR) or total > _RECORD_LIMIT:
        return Lifetime(0, ())
    offset, offsets = end, []
    times: list[int] = []
    for number in range(total):
        offset = _skip_name(response, offset)
        if offset + 10 > len(response):
            raise BadMessage(FORMAT_ERROR, "cut record")
        kind, _, ttl, length = _RECORD.unpack_from(response, offset)
        if kind != _OPT:
            offsets.append(offset + 4)
            if number < answers or kind == SOA:
                times.append(ttl)
        offset += 10 + length
        if offset > len(response):
            raise BadMessage(FORMAT_ERROR, "cut record")
    return Lifetime(min(times, default=0), tuple(offsets))


def _skip_name(packet: bytes, offset: int) -> int:
    while offset < len(packet):
        length = packet[offset]
        if length >= 0xC0:
            return offset + 2
        if length > _LABEL_LIMIT:
            break
        offset += 1 + length
        if length == 0:
            return offset
    raise BadMessage(FORMAT_ERROR, "name")


def aged(response: bytes, held: Lifetime, seconds: int) -> bytes:
    """A kept response `seconds` later: its times to live are less by as much."""
    copy = bytearray(response)
    for offset in held.offsets:
        (ttl,) = _U32.unpack_from(copy, offset)
        _U32.pack_into(copy, offset, max(0, ttl - seconds))
    return bytes(copy)
