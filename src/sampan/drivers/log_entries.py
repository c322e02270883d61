"""One line of a log as a protocol buffer: Docker's LogEntry, and the length in front of it.

Source: moby's api/types/plugins/logdriver/entry.proto, for the fields' numbers.
"""

from dataclasses import dataclass

from sampan.spec import wire_format


@dataclass(frozen=True, slots=True)
class Entry:
    """`source` is stdout or stderr, `time_ns` nanoseconds since the epoch, `line` has no newline at its end.

    A line longer than 16 KiB comes in parts, each of them `partial`: `part` names the line they belong to, `ordinal` counts from
    1, and `last` ends it.
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
    """What is behind the length. Raises ValueError where it is none (`wire_format`)."""
    members = dict(wire_format.fields(body))
    part = dict(wire_format.fields(_bytes(members, 5)))
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
    if not entry.partial and not entry.part:
        return b""
    return _field(1, int(entry.last)) + _field(2, entry.part.encode()) + _field(3, entry.ordinal)


def _field(number: int, value: int | bytes) -> bytes:
    """Nothing for what is zero or empty, as proto3 has it."""
    if not value:
        return b""
    return wire_format.number(number, value) if isinstance(value, int) else wire_format.data(number, value)
