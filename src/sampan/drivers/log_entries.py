"""One line of a log as a protocol buffer: Docker's LogEntry, and the length in front of it.

Source: moby's api/types/plugins/logdriver/entry.proto for the fields' numbers, the encoding page of protobuf.dev for the rest.
Written out here: five fields do not need a library that every driver's process would load.
"""

from collections.abc import Iterator
from dataclasses import dataclass

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_LONGEST_VARINT = 10


@dataclass(frozen=True, slots=True)
class Entry:
    """`source` is stdout or stderr, `time_ns` nanoseconds since the epoch, `line` has no newline at its end.

    A line longer than 16 KiB comes in parts: `partial` in all but the last; `part` names the line they belong to and `ordinal`
    counts from 1.
    """

    source: str
    time_ns: int
    line: bytes
    partial: bool = False
    part: str = ""
    ordinal: int = 0
    last: bool = False


def encode_entry(entry: Entry) -> bytes:
    """With its length in four bytes, the highest first, in front."""
    body = b"".join(
        (
            _field(1, entry.source.encode()),
            _field(2, entry.time_ns),
            _field(3, entry.line),
            _field(4, int(entry.partial)),
            _field(5, _part(entry)),
        )
    )
    return len(body).to_bytes(4, "big") + body


def decode_entry(body: bytes) -> Entry:
    """What is behind the length. Raises ValueError where it is none."""
    members = dict(_fields(body))
    part = dict(_fields(_bytes(members, 5)))
    return Entry(
        _bytes(members, 1).decode(errors="replace"),
        _number(members, 2),
        _bytes(members, 3),
        bool(_number(members, 4)),
        _bytes(part, 2).decode(errors="replace"),
        _number(part, 3),
        bool(_number(part, 1)),
    )


def _bytes(members: dict[int, int | bytes], number: int) -> bytes:
    value = members.get(number, b"")
    if isinstance(value, int):
        raise ValueError(f"no LogEntry: field {number} is a number")
    return value


def _number(members: dict[int, int | bytes], number: int) -> int:
    value = members.get(number, 0)
    if isinstance(value, bytes):
        raise ValueError(f"no LogEntry: field {number} is no number")
    return value


def _part(entry: Entry) -> bytes:
    if not entry.part:
        return b""
    return _field(1, int(entry.last)) + _field(2, entry.part.encode()) + _field(3, entry.ordinal)


def _field(number: int, value: int | bytes) -> bytes:
    """Nothing for what is zero or empty, as proto3 has it."""
    if not value:
        return b""
    if isinstance(value, int):
        return _varint(number << 3 | _VARINT) + _varint(value)
    return _varint(number << 3 | _BYTES) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    at = 0
    while at < len(data):
        key, at = _read_varint(data, at)
        kind = key & 7
        if kind == _VARINT:
            value, at = _read_varint(data, at)
            yield key >> 3, value
            continue
        if kind == _BYTES:
            size, at = _read_varint(data, at)
        elif kind in (_FIXED64, _FIXED32):
            size = 8 if kind == _FIXED64 else 4
        else:
            raise ValueError(f"no LogEntry: a field of the kind {kind}")
        if size > len(data) - at:
            raise ValueError("no LogEntry: it ends within a field")
        yield key >> 3, data[at : at + size]
        at += size


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for place, byte in enumerate(data[at : at + _LONGEST_VARINT]):
        value |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, at + place + 1
    raise ValueError("no LogEntry: a number without an end")
