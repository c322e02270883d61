"""Records of Docker's json-file log, decoded and put into words for a client."""

from collections.abc import Iterable
from datetime import UTC, datetime
from struct import Struct
from typing import NamedTuple
from urllib.parse import quote_plus

import msgspec

STREAMS = {"stdout": 1, "stderr": 2}
_HEADER = Struct(">BxxxI")
_SECOND = 1_000_000_000
_FIXED_TIME = len("2026-11-23T20:00:00.123456789Z")


class Entry(NamedTuple):
    """What a program put out: stream 1 or 2, the bytes with their newline (none: the line goes on in the next entry).

    `time` is the record's own text, RFC 3339 in UTC; `attributes` a JSON object, b"" for none.
    """

    stream: int
    line: bytes
    time: bytes
    attributes: bytes = b""


class _Record(msgspec.Struct):
    log: str = ""
    stream: str = "stdout"
    time: str = ""
    attrs: msgspec.Raw = msgspec.Raw(b"")


_decoder = msgspec.json.Decoder(_Record)


def decode(chunk: bytes) -> list[Entry]:
    """The entries of whole lines. A line that is no record (torn by a crash, filled with NUL bytes) is left out."""
    numbers = STREAMS
    try:
        records = _decoder.decode_lines(chunk)
        return [Entry(numbers[r.stream], r.log.encode(), r.time.encode(), bytes(r.attrs)) for r in records]
    except (msgspec.DecodeError, UnicodeError, KeyError):
        entries = (_decode_line(line) for line in chunk.split(b"\n"))
        return [entry for entry in entries if entry is not None]


def _decode_line(line: bytes) -> Entry | None:
    try:
        # A file system that lost power may leave NUL bytes where a record was begun.
        record = _decoder.decode(line.lstrip(b"\0"))
        return Entry(STREAMS[record.stream], record.log.encode(), record.time.encode(), bytes(record.attrs))
    except (msgspec.DecodeError, UnicodeError, KeyError):
        return None


_seconds: dict[bytes, int] = {}


def time_ns(time: bytes) -> int:
    """Nanoseconds since the epoch of a record's time, 0 for a text that is none."""
    text, second = time[:19], 0
    cached = _seconds.get(text)
    if cached is not None:
        second = cached
    else:
        try:
            second = int(datetime.fromisoformat(text.decode("ascii")).replace(tzinfo=UTC).timestamp())
        except ValueError:
            return 0
        if len(_seconds) > 4096:
            _seconds.clear()
        _seconds[text] = second
    fraction = time[20:-1] if time[19:20] == b"." else b""
    if fraction and not fraction.isdigit():
        return 0
    return second * _SECOND + int(fraction.ljust(9, b"0")[:9] or 0)


def render(entries: Iterable[Entry], *, timestamps: bool = False, details: bool = False) -> list[tuple[int, bytes]]:
    """(stream, bytes) as Docker sends them: time with nine digits and details (`a=1,b=2`, query-escaped) before the line."""
    if not timestamps and not details:
        return [(entry[0], entry[1]) for entry in entries]
    rendered = []
    for stream, line, time, attributes in entries:
        before = _fixed(time) + b" " if timestamps else b""
        if details:
            before += _details(attributes) + b" "
        rendered.append((stream, before + line))
    return rendered


def frames(records: Iterable[tuple[int, bytes]], tty: bool = False) -> bytes:
    """Rendered records as one piece of a stream: with Docker's eight-byte headers, or raw for a terminal."""
    if tty:
        return b"".join([line for _, line in records])
    pack = _HEADER.pack
    return b"".join([part for stream, line in records for part in (pack(stream, len(line)), line)])


def _fixed(time: bytes) -> bytes:
    """The time with all nine digits of its fraction, as `docker logs -t` shows it."""
    if len(time) == _FIXED_TIME or not time.endswith(b"Z"):
        return time
    seconds, _, fraction = time[:-1].partition(b".")
    return seconds + b"." + fraction.ljust(9, b"0") + b"Z"


def _details(attributes: bytes) -> bytes:
    if not attributes:
        return b""
    try:
        pairs = msgspec.json.decode(attributes, type=dict[str, str])
    except msgspec.DecodeError:
        return b""
    return ",".join(f"{quote_plus(name)}={quote_plus(value)}" for name, value in sorted(pairs.items())).encode()
