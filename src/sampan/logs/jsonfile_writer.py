"""Writing a container's output as Docker's json-file: one JSON object a line, rotated, never blocking on a full disk.

    {"log":"hello\\n","stream":"stdout","time":"2026-11-23T20:00:00.123456789Z"}

It works on whole chunks: where nothing has to be escaped, a chunk of a thousand lines is one `bytes.replace`. All lines of
a chunk get the time of its arrival. A line of more than 16 KiB becomes several records of which only the last ends in a
newline, as with Docker. On a full disk records are dropped, counted, and the count is written once there is room again.

Loaded by the launcher.
"""

from __future__ import annotations

import errno
import os
import time

PIECE = 16 * 1024
_NAMES = {1: b"stdout", 2: b"stderr"}
_PREFIX = b'{"log":"'
# Bytes that stand for themselves in a record. Docker escapes what Go's encoder for HTML escapes.
_SAFE = bytes(set(range(0x20, 0x7F)) - set(b'"\\<>&'))
_ESCAPES = {
    **{code: f"\\u{code:04x}" for code in range(0x20)},
    ord("\n"): "\\n",
    ord("\r"): "\\r",
    ord('"'): '\\"',
    ord("\\"): "\\\\",
    ord("<"): "\\u003c",
    ord(">"): "\\u003e",
    ord("&"): "\\u0026",
    0x2028: "\\u2028",
    0x2029: "\\u2029",
    0xFFFD: "\\ufffd",
}


def rfc3339(ns: int) -> bytes:
    """A time as Go's RFC3339Nano writes it: UTC, the fraction without trailing zeros."""
    seconds, fraction = divmod(ns, 1_000_000_000)
    text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    digits = f"{fraction:09d}".rstrip("0")
    return f"{text}.{digits}Z".encode() if digits else f"{text}Z".encode()


def escaped(line: bytes) -> bytes:
    """`line` as the inside of a JSON string, as Docker writes it; bytes that are no UTF-8 become U+FFFD."""
    return line.decode("utf-8", "replace").translate(_ESCAPES).encode()


class JsonFileWriter:
    """The log of one container. `max_size` is the size in bytes at which the file is rotated, -1 for never."""

    def __init__(self, path: str, max_size: int = -1, max_files: int = 1) -> None:
        self._path = path
        self._max_size = max_size
        self._max_files = max(max_files, 1)
        self._held = {1: b"", 2: b""}
        self._dropped = 0
        self._file = self._open(0)
        self._size = os.fstat(self._file).st_size
        self._end_of_last_record()

    def feed(self, stream: int, chunk: bytes) -> None:
        """Take output of the program: 1 is its output, 2 its errors. What has no newline yet is held back, up to 16 KiB."""
        data = self._held[stream] + chunk
        end = data.rfind(b"\n") + 1
        rest = data[end:]
        records = self._records(stream, data[:end]) if end else b""
        while len(rest) >= PIECE:
            records += self._piece(stream, rest[:PIECE])
            rest = rest[PIECE:]
        self._held[stream] = rest
        if records:
            self._write(records)

    def close(self) -> None:
        """Write what is held back and close the file."""
        for stream, rest in self._held.items():
            if rest:
                self._write(self._piece(stream, rest))
        self._held = {1: b"", 2: b""}
        os.close(self._file)

    def _records(self, stream: int, lines: bytes) -> bytes:
        """Records of whole lines."""
        if not _has_long_line(lines):
            suffix = self._suffix(stream)
            if lines.translate(None, _SAFE).strip(b"\n"):
                body = [_PREFIX + escaped(line) + b"\\n" + suffix for line in lines[:-1].split(b"\n")]
                return b"".join(body)
            return _PREFIX + lines[:-1].replace(b"\n", b"\\n" + suffix + _PREFIX) + b"\\n" + suffix
        records = []
        for line in _kept_lines(lines):
            start = 0
            while len(line) - start > PIECE:
                records.append(self._piece(stream, line[start : start + PIECE]))
                start += PIECE
            records.append(self._piece(stream, line[start:]))
        return b"".join(records)

    def _piece(self, stream: int, text: bytes) -> bytes:
        return _PREFIX + escaped(text) + self._suffix(stream)

    def _suffix(self, stream: int) -> bytes:
        return b'","stream":"' + _NAMES[stream] + b'","time":"' + rfc3339(time.time_ns()) + b'"}\n'

    def _write(self, records: bytes) -> None:
        if self._dropped:
            told = f"sampan: {self._dropped} records were lost, the disk was full\n".encode()
            records = self._piece(2, told) + records
        if 0 < self._max_size <= self._size:
            self._rotate()
        try:
            written = os.write(self._file, records)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG):
                raise
            written = 0
        if written == len(records):
            self._size += written
            self._dropped = 0
            return
        # A record that went out in part would hide the next one: take it back.
        os.ftruncate(self._file, self._size)
        self._dropped += records.count(b"\n") - bool(self._dropped)

    def _rotate(self) -> None:
        os.close(self._file)
        for number in range(self._max_files - 1, 0, -1):
            older = f"{self._path}.{number}"
            newer = f"{self._path}.{number - 1}" if number > 1 else self._path
            try:
                os.rename(newer, older)
            except FileNotFoundError:
                continue
        self._file = self._open(os.O_TRUNC)
        self._size = 0

    def _open(self, more: int) -> int:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW | more
        return os.open(self._path, flags, 0o640)

    def _end_of_last_record(self) -> None:
        """A record torn by the death of the machine gets its newline, so that the next one stands by itself."""
        if self._size:
            with open(self._path, "rb") as file:
                file.seek(-1, os.SEEK_END)
                if file.read(1) != b"\n":
                    self._size += os.write(self._file, b"\n")


def _has_long_line(lines: bytes) -> bool:
    start = 0
    while len(lines) - start > PIECE:
        end = lines.rfind(b"\n", start, start + PIECE + 1)
        if end < 0:
            return True
        start = end + 1
    return False


def _kept_lines(lines: bytes) -> list[bytes]:
    """Lines with their newlines."""
    return [line + b"\n" for line in lines[:-1].split(b"\n")]
