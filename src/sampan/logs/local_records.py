"""Records of the log that `local_writer` writes, decoded.

Loaded by the launcher, whose followers read logs without the daemon.
"""

from __future__ import annotations

import json
import time

from sampan.logs.local_writer import ATTRIBUTES
from sampan.logs.records import Entry, words

_LETTERS = {b"o": (1, b"\n"), b"O": (1, b""), b"e": (2, b"\n"), b"E": (2, b"")}
_TEXT = 18
"""Where the text of a record begins: letter, sixteen digits, blank."""
_SECOND = 1_000_000_000
_MOST_ATTRIBUTES = 1 << 20


class LocalDecoder:
    """Decodes whole lines. One that is no record (torn by a crash, the file's first line) is left out."""

    def __init__(self, path: str) -> None:
        """For the log at `path`, beside which its attributes may lie."""
        self._attributes = _attributes(path)
        self._digits = b""
        self._time = b""

    def decode(self, chunk: bytes) -> list[Entry]:
        """The entries of `chunk`."""
        entries = []
        attributes = self._attributes
        for line in chunk.split(b"\n"):
            kind = _LETTERS.get(line[:1])
            if kind is None:
                # A file system that lost power may leave NUL bytes where a record was begun.
                line = line.lstrip(b"\0")
                kind = _LETTERS.get(line[:1])
                if kind is None:
                    continue
            digits = line[1:17]
            if digits != self._digits:
                moment = _moment(digits)
                if line[17:_TEXT] != b" " or not moment:
                    continue
                self._digits, self._time = digits, moment
            elif line[17:_TEXT] != b" ":
                continue
            entries.append(Entry(kind[0], line[_TEXT:] + kind[1], self._time, attributes))
        return entries


def _attributes(path: str) -> dict[str, str] | None:
    try:
        with open(path + ATTRIBUTES, "rb") as file:
            return words(json.loads(file.read(_MOST_ATTRIBUTES)))
    except (OSError, ValueError):
        return None


def _moment(digits: bytes) -> bytes:
    """The time of a record as RFC 3339 has it, nine digits of fraction; b"" for what is none."""
    if len(digits) != 16 or digits.strip(b"0123456789abcdef"):
        return b""
    second, fraction = divmod(int(digits, 16), _SECOND)
    try:
        text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
    except (OverflowError, ValueError):
        return b""
    return f"{text}.{fraction:09d}Z".encode()
