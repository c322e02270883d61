"""Protocol buffers by hand, as far as small messages of a few fields need them: numbers, and what has a length.

Source: https://protobuf.dev/programming-guides/encoding/. For programs that are small on purpose; the library is for the rest.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_NUMBER, _FIXED64, _DATA, _FIXED32 = 0, 1, 2, 5
_LONGEST = 10
"""Bytes of a number of 64 bits."""
_WORD = (1 << 64) - 1


def number(field: int, value: int) -> bytes:
    """A field with a number; negative ones as int64 has them."""
    return _varint(field << 3 | _NUMBER) + _varint(value & _WORD)


def data(field: int, value: bytes) -> bytes:
    """A field with a string, bytes or a message."""
    return _varint(field << 3 | _DATA) + _varint(len(value)) + value


def fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The fields of a message as they stand there. Raises ValueError where it is none, or cut off."""
    at = 0
    while at < len(message):
        key, at = _read_varint(message, at)
        kind = key & 7
        if kind == _NUMBER:
            value, at = _read_varint(message, at)
            yield key >> 3, value
            continue
        if kind == _DATA:
            size, at = _read_varint(message, at)
        elif kind in (_FIXED64, _FIXED32):
            size = 8 if kind == _FIXED64 else 4
        else:
            raise ValueError(f"no protocol buffer: a field of the kind {kind}")
        if size > len(message) - at:
            raise ValueError("no protocol buffer: it is cut off within a field")
        yield key >> 3, message[at : at + size]
        at += size


def _varint(value: int) -> bytes:
    parts = bytearray()
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    parts.append(value)
    return bytes(parts)


def _read_varint(message: bytes, at: int) -> tuple[int, int]:
    value = 0
    for place, byte in enumerate(message[at : at + _LONGEST]):
        value |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            return value & _WORD, at + place + 1
    raise ValueError("no protocol buffer: a number without an end")
