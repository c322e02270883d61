"""Reading a json-file log back: from the start, from the end, and as it grows.

A record that a crash left half-written is passed over. Rotated files (`path.1`, `path.2` …, also compressed as `.gz`) are
read before the current one. Everything is bounded: one block of the file, one record, one batch at a time.
"""

import datetime as dt
import gzip
import os
import zlib
from collections.abc import Iterator
from typing import BinaryIO

import msgspec

LONGEST_RECORD = 256 * 1024
"""Longer lines of the file are no records of ours; they are passed over."""
_BLOCK = 64 * 1024
_MOST_FILES = 1000
_STREAMS = {"stdout": 1, "stderr": 2}


class Entry(msgspec.Struct, gc=False):
    """One record: `log` with its newline if the line was complete, `time` as RFC 3339 text."""

    log: str = ""
    stream: str = "stdout"
    time: str = ""
    attrs: dict[str, str] | None = None

    @property
    def number(self) -> int:
        """1 for standard output, 2 for standard error."""
        return _STREAMS.get(self.stream, 1)

    @property
    def time_ns(self) -> int:
        """Nanoseconds since the epoch; 0 where the time cannot be read."""
        return parse_time(self.time)

    def line(self, timestamps: bool = False, details: bool = False) -> bytes:
        """The line as `docker logs` sends it."""
        text = self.log
        if details:
            shown = ",".join(f"{key}={value}" for key, value in sorted((self.attrs or {}).items()))
            text = f"{shown} {text}"
        if timestamps:
            text = f"{fixed_time(self.time)} {text}"
        return text.encode()


_decode = msgspec.json.Decoder(Entry).decode


def parse(record: bytes) -> Entry | None:
    """One line of the file; None where it is no record (torn by a crash, or foreign)."""
    if len(record) > LONGEST_RECORD:
        return None
    try:
        return _decode(record)
    except (msgspec.ValidationError, msgspec.DecodeError):
        return None


def parse_time(text: str) -> int:
    """RFC 3339 with up to nine digits of fraction, in UTC, as nanoseconds; 0 for anything else."""
    seconds, _, fraction = text.removesuffix("Z").partition(".")
    try:
        whole = dt.datetime.fromisoformat(seconds).replace(tzinfo=dt.UTC).timestamp()
        return int(whole) * 1_000_000_000 + (int(fraction.ljust(9, "0")[:9]) if fraction else 0)
    except ValueError:
        return 0


def fixed_time(text: str) -> str:
    """The time with nine digits of fraction, as Docker sends it."""
    seconds, _, fraction = text.removesuffix("Z").partition(".")
    return f"{seconds}.{fraction:0<9}Z"


def files(path: str) -> list[str]:
    """The log's files that exist, oldest first."""
    found = [path] if os.path.exists(path) else []
    for number in range(1, _MOST_FILES):
        for name in (f"{path}.{number}", f"{path}.{number}.gz"):
            if os.path.exists(name):
                found.append(name)
                break
        else:
            break
    return found[::-1]


def read(path: str) -> Iterator[Entry]:
    """Every entry, oldest first."""
    for name in files(path):
        with _open(name) as file:
            yield from _entries(file)


def tail(path: str, count: int) -> list[Entry]:
    """The last `count` entries, oldest first; reads no more of the files than holds them."""
    kept: list[Entry] = []
    for name in reversed(files(path)):
        if len(kept) >= count:
            break
        with _open(name) as file:
            wanted = count - len(kept)
            lines = _last_of_stream(file, wanted) if name.endswith(".gz") else _last_lines(file, wanted)
            kept = [entry for line in lines if (entry := parse(line)) is not None] + kept
    return kept


def _open(name: str) -> BinaryIO | gzip.GzipFile:
    if name.endswith(".gz"):
        return gzip.open(name, "rb")
    return open(name, "rb")


def _entries(file: BinaryIO | gzip.GzipFile) -> Iterator[Entry]:
    try:
        while line := file.readline(LONGEST_RECORD + 1):
            if (entry := parse(line)) is not None:
                yield entry
    except (EOFError, zlib.error, gzip.BadGzipFile):
        # A rotated file whose compression a crash cut short: what could be read has been.
        return


def _last_of_stream(file: BinaryIO | gzip.GzipFile, count: int) -> list[bytes]:
    lines: list[bytes] = []
    while line := file.readline(LONGEST_RECORD + 1):
        lines.append(line)
        if len(lines) > 2 * count:
            del lines[:-count]
    return lines[-count:] if count else []


def _last_lines(file: BinaryIO | gzip.GzipFile, count: int) -> list[bytes]:
    """The last whole lines of a file, found from its end; a torn one at the very end does not count."""
    position = file.seek(0, os.SEEK_END)
    held = b""
    newlines = 0
    while position > 0 and newlines <= count:
        step = min(_BLOCK, position)
        position -= step
        file.seek(position)
        block = file.read(step)
        newlines += block.count(b"\n")
        held = block + held
    lines = held.split(b"\n")
    if position > 0:
        # The first piece is the end of a line whose beginning was not read.
        del lines[0]
    lines.pop()
    return lines[-count:] if count else []


class Follower:
    """Entries as they are written, from a point on; follows the log through its rotations. Close it."""

    def __init__(self, path: str, from_end: bool = False) -> None:
        self._path = path
        self._file: BinaryIO | None = None
        self._partial = b""
        file = self._open()
        if from_end and file is not None:
            file.seek(0, os.SEEK_END)

    def position(self) -> int:
        """How far the current file has been read, for a reader that wants everything before."""
        return self._file.tell() - len(self._partial) if self._file is not None else 0

    def poll(self) -> list[Entry]:
        """What has been written since the last call, in bounded batches; empty where there is nothing new."""
        file = self._file or self._open()
        if file is None:
            return []
        entries = self._take(file)
        if not entries and self._rotated(file):
            # The old file was read to its end above; whatever it got after that, a second look finds.
            entries = self._take(file)
            file.close()
            self._partial = b""
            self._open()
        return entries

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _open(self) -> BinaryIO | None:
        try:
            self._file = os.fdopen(os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW), "rb", buffering=0)
        except FileNotFoundError:
            self._file = None
        return self._file

    def _rotated(self, file: BinaryIO) -> bool:
        try:
            seen = os.stat(self._path)
        except FileNotFoundError:
            return False
        mine = os.fstat(file.fileno())
        return (seen.st_dev, seen.st_ino) != (mine.st_dev, mine.st_ino)

    def _take(self, file: BinaryIO) -> list[Entry]:
        if file.tell() > os.fstat(file.fileno()).st_size:
            # Cut to nothing and begun again (one file only, or `logs --clear`).
            file.seek(0)
            self._partial = b""
        data = self._partial + (file.read(_BLOCK) or b"")
        lines = data.split(b"\n")
        self._partial = lines.pop()
        if len(self._partial) > LONGEST_RECORD:
            self._partial = b""
        return [entry for line in lines if (entry := parse(line)) is not None]
