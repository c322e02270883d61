"""Records of Docker's json-file log, decoded and put into words for a client.

Loaded by the launcher, whose followers read logs without the daemon.
"""

from __future__ import annotations

import json
import time
from collections import namedtuple
from struct import Struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import NamedTuple

    class Entry(NamedTuple):
        """What a program put out: stream 1 or 2, the bytes with their newline (none: the line goes on in the next entry).

        `time` is the record's own text, RFC 3339 in UTC; `attributes` what options of the log have each record carry.
        """

        stream: int
        line: bytes
        time: bytes
        attributes: Mapping[str, str] | None = None

else:
    # `typing` is no module of the launcher's.
    Entry = namedtuple("Entry", "stream line time attributes", defaults=(None,))  # noqa: PYI024

STREAMS = {"stdout": 1, "stderr": 2}
_HEADER = Struct(">BxxxI")
_SECOND = 1_000_000_000
_FIXED_TIME = len("2026-11-23T20:00:00.123456789Z")
_YEAR_ONE = -62_135_596_800
_YEAR_10000 = 253_402_300_800
_PLAIN = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~")


def decode(chunk: bytes) -> list[Entry]:
    """The entries of whole lines. A line that is no record (torn by a crash, filled with NUL bytes) is left out."""
    numbers = STREAMS
    try:
        # No record has a newline within, so a chunk becomes one list: half the time of one call for each.
        records = json.loads(b"[%b]" % chunk[:-1].replace(b"\n", b","))
        return [
            Entry(numbers[r["stream"]], r["log"].encode(), r["time"].encode(), r.get("attrs") and words(r["attrs"]))
            for r in records
        ]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        entries = (_decode_line(line) for line in chunk.split(b"\n"))
        return [entry for entry in entries if entry is not None]


def _decode_line(line: bytes) -> Entry | None:
    try:
        # A file system that lost power may leave NUL bytes where a record was begun.
        record = json.loads(line.lstrip(b"\0"))
        text, stream, moment = record.get("log", ""), record.get("stream", "stdout"), record.get("time", "")
        return Entry(STREAMS[stream], text.encode(), moment.encode(), words(record.get("attrs")))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def words(attributes: object) -> dict[str, str] | None:
    """What a record carries, of what JSON says; None where that is no object."""
    if not isinstance(attributes, dict):
        return None
    return {name: value for name, value in attributes.items() if isinstance(value, str)}


def moment(nanoseconds: int) -> bytes:
    """A time since the epoch as text that sorts as times do, to be compared with `fixed` times."""
    seconds, fraction = divmod(nanoseconds, _SECOND)
    if seconds < _YEAR_ONE:
        return b""
    if seconds >= _YEAR_10000:
        return b":"
    at = time.gmtime(seconds)
    date = f"{at.tm_year:04}-{at.tm_mon:02}-{at.tm_mday:02}T{at.tm_hour:02}:{at.tm_min:02}:{at.tm_sec:02}"
    return f"{date}.{fraction:09}Z".encode()


def fixed(text: bytes) -> bytes:
    """A record's time with all nine digits of its fraction, as `docker logs -t` shows it."""
    if len(text) == _FIXED_TIME or not text.endswith(b"Z"):
        return text
    seconds, _, fraction = text[:-1].partition(b".")
    return seconds + b"." + fraction.ljust(9, b"0") + b"Z"


def render(entries: Iterable[Entry], *, timestamps: bool = False, details: bool = False) -> list[tuple[int, bytes]]:
    """(stream, bytes) as Docker sends them: time with nine digits and details (`a=1,b=2`, query-escaped) before the line."""
    if not timestamps and not details:
        return [(entry[0], entry[1]) for entry in entries]
    rendered = []
    for stream, line, text, attributes in entries:
        before = fixed(text) + b" " if timestamps else b""
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


def _details(attributes: Mapping[str, str] | None) -> bytes:
    pairs = sorted((attributes or {}).items())
    return b",".join(_query_escape(name) + b"=" + _query_escape(value) for name, value in pairs)


def _query_escape(text: str) -> bytes:
    """As Go's url.QueryEscape; `urllib` is no module of the launcher's."""
    return b"".join(
        b"%c" % byte if byte in _PLAIN else b"+" if byte == 0x20 else b"%%%02X" % byte
        for byte in text.encode("utf-8", "replace")
    )
