"""Records of the log that `local_writer` writes, decoded.

Loaded by the launcher, whose followers read logs without the daemon.
"""

from __future__ import annotations

import json
import time

from sampan.logs.local_writer import ATTRIBUTES
from sampan.logs.records import Entry, words

_LETTERS = {b"o": (1, True), b"O": (1, False), b"e": (2, True), b"E": (2, False)}
_TEXT = 18
"""Where the text of a record begins: letter, sixteen digits, blank."""
_SECOND = 1_000_000_000
_MOST_ATTRIBUTES = 1 << 20


class LocalDecoder:
    """Decodes whole lines. One that is no record (torn by a crash, the file's first line) is left out."""

    def __init__(self, path: str) -> None:
        """For the log at `path`, beside which its attributes may lie."""
        self._attributes = _attributes(path)
        self._time_ns = -1
        self._time = b""

    def decode(self, chunk: bytes) -> list[Entry]:
        """The entries of `chunk`."""
        entries = []
        for line in chunk.split(b"\n"):
            parsed = parse(line)
            if parsed is None:
                continue
            stream, whole, time_ns, text = parsed
            if time_ns != self._time_ns:
                # The lines of a chunk share their time.
                self._time_ns, self._time = time_ns, _moment(time_ns)
            entries.append(Entry(stream, text + b"\n" if whole else text, self._time, self._attributes))
        return entries


def parse(line: bytes) -> tuple[int, bool, int, bytes] | None:
    """(stream, whether its newline belongs to it, nanoseconds since the epoch, text) of a line; None where it is no record."""
    kind = _LETTERS.get(line[:1])
    if kind is None:
        # A file system that lost power may leave NUL bytes where a record was begun.
        line = line.lstrip(b"\0")
        kind = _LETTERS.get(line[:1])
        if kind is None:
            return None
    digits = line[1:17]
    if line[17:_TEXT] != b" " or digits.strip(b"0123456789abcdef"):
        return None
    return kind[0], kind[1], int(digits, 16), line[_TEXT:]


def _attributes(path: str) -> dict[str, str] | None:
    try:
        with open(path + ATTRIBUTES, "rb") as file:
            return words(json.loads(file.read(_MOST_ATTRIBUTES)))
    except (OSError, ValueError):
        return None


def _moment(time_ns: int) -> bytes:
    """The time of a record as RFC 3339 has it, nine digits of fraction."""
    second, fraction = divmod(time_ns, _SECOND)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second)).encode() + b".%09dZ" % fraction
