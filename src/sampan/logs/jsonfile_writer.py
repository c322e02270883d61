r"""Writes Docker's json-file log: one JSON object for each line a program has put out.

    {"log":"hello\n","stream":"stdout","time":"2026-11-23T20:00:00.123456789Z"}

A line of more than 16 KiB becomes several records, of which only the last has the newline. Escapes are those of Go's encoder,
which clients compare with. Whole chunks are turned into records at once, by operations on bytes, so that a million short lines
take a fraction of a second; the lines of a chunk share its time.

Loaded by the launcher.
"""

from __future__ import annotations

import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

PIECE = 16384
"""Bytes of a line in one record, as in Docker's copier."""
_WINDOW = PIECE // 2
# Records are much longer than short lines. A block that the allocator has to map and unmap for itself (128 KiB and more, with
# glibc) costs a page fault for each of its pages: five times slower.
_BLOCK = 65536
_MODE = 0o640
_OPEN = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW

_HEAD = b'{"log":"'
_NAMES = {1: b"stdout", 2: b"stderr"}

# Go's encoder knows short forms for these three only; every other control character is \u00XX, and so are < > and &.
_ESCAPES = {b: b"\\u00%02x" % b for b in (*range(0x20), *b"<>&")} | {0x0A: b"\\n", 0x0D: b"\\r", 0x22: b'\\"'}
_PLAIN = bytes(b for b in range(256) if b not in _ESCAPES and b != 0x5C) + b"\n"
# One U+FFFD for each byte that is not UTF-8, as Go has it; `surrogateescape` finds exactly those bytes.
_UNDECODABLE = {0xDC00 + byte: "\\ufffd" for byte in range(0x80, 0x100)}


class _Stream:
    """What is held back of a stream: the line begun (less than PIECE bytes), and the time of a line already begun to be written."""

    __slots__ = ("pending", "since", "tail")

    def __init__(self, name: bytes, attributes: bytes) -> None:
        self.pending = b""
        self.since = b""
        extra = b'"attrs":%s,' % attributes if attributes else b""
        self.tail = b'","stream":"%s",%s"time":"' % (name, extra)


class JsonFileWriter:
    """The log file of one container, appended to by its monitor alone.

    `max_size` in bytes (-1: no bound): a file that has reached it is renamed to `path.1`, `path.1` to `path.2` and so on, and
    `max_files` counts all of them. `attributes` is a JSON object that every record carries, b"" for none. A record that a crash
    left half-written is cut off at the start. Raises OSError only when made; later, what cannot be written (a full disk) is
    counted and dropped, and the log says how much as soon as there is room again.
    """

    __slots__ = (
        "_descriptor",
        "_dropped",
        "_max_files",
        "_max_size",
        "_path",
        "_second",
        "_size",
        "_streams",
        "_text",
        "_why",
    )

    def __init__(self, path: str, max_size: int = -1, max_files: int = 1, attributes: bytes = b"") -> None:
        self._path = path
        self._max_size = max_size
        self._max_files = max_files
        self._streams: Mapping[int, _Stream] = {n: _Stream(name, attributes) for n, name in _NAMES.items()}
        self._second = -1
        self._text = b""
        self._dropped = 0
        self._why = ""
        self._descriptor = os.open(path, _OPEN, _MODE)
        self._size = _mend(path, self._descriptor)

    @property
    def dropped(self) -> int:
        """Records that could not be written and are not yet accounted for in the log."""
        return self._dropped

    def feed(self, stream: int, chunk: bytes | memoryview) -> None:
        """Take what the program has put out on `stream` (1 output, 2 errors), cut anywhere."""
        state = self._streams[stream]
        data = state.pending + chunk if state.pending else bytes(chunk)
        if state.since or _may_have_long_line(data):
            self._append(self._pieces(state, data))
            return
        last = data.rfind(b"\n") + 1
        state.pending = data[last:]
        if not last:
            return
        end = b"\\n" + state.tail + self._now() + b'"}\n'
        between = end + _HEAD
        lines = data.count(b"\n")
        step = last * _BLOCK // (last + lines * (len(between) + 1)) or 1
        at = 0
        while at < last:
            cut = last if last - at <= step else data.index(b"\n", at + step - 1) + 1
            self._append(_HEAD + escape(data[at : cut - 1]).replace(b"\n", between) + end)
            at = cut

    def close(self) -> None:
        """Write lines that have no end, and close the file. The program has ended."""
        for state in self._streams.values():
            if state.pending:
                self._append(self._record(state, state.pending, b"", state.since or self._now()))
                state.pending = b""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _pieces(self, state: _Stream, data: bytes) -> bytes:
        """Records one by one, where lines are longer than a record may be. All pieces of a line have the time of its first."""
        records = []
        at = 0
        while True:
            end = data.find(b"\n", at, at + PIECE)
            if end >= 0:
                records.append(self._record(state, data[at:end], b"\\n", state.since or self._now()))
                state.since = b""
                at = end + 1
            elif len(data) - at >= PIECE:
                state.since = state.since or self._now()
                records.append(self._record(state, data[at : at + PIECE], b"", state.since))
                at += PIECE
            else:
                break
        state.pending = data[at:]
        return b"".join(records)

    def _record(self, state: _Stream, text: bytes, newline: bytes, moment: bytes) -> bytes:
        return b"".join((_HEAD, escape(text), newline, state.tail, moment, b'"}\n'))

    def _now(self) -> bytes:
        """The time as Go's RFC3339Nano writes it: no zeros at the end of the fraction."""
        second, fraction = divmod(time.time_ns(), 1_000_000_000)
        if second != self._second:
            self._second = second
            self._text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second)).encode()
        return self._text + (b".%09d" % fraction).rstrip(b"0") + b"Z" if fraction else self._text + b"Z"

    def _append(self, block: bytes) -> None:
        if self._dropped and not self._account():
            self._dropped += block.count(b"\n")
            return
        view = memoryview(block)
        at = 0
        while at < len(block):
            end = len(block)
            if self._max_size >= 0:
                if self._size >= self._max_size:
                    self._rotate()
                # As in Docker a file may pass the bound by the record that reaches it.
                room = max(self._max_size - self._size, 1)
                if end - at > room:
                    end = block.index(b"\n", at + room - 1) + 1
            if not self._put(view[at:end]):
                self._dropped += block.count(b"\n", end)
                return
            at = end

    def _account(self) -> bool:
        """Say in the log what it lacks. Whether that could be written."""
        dropped, why = self._dropped, self._why
        text = f"sampan: {dropped} records of this log were dropped: {why}".encode()
        self._dropped = 0
        if self._put(memoryview(self._record(self._streams[2], text, b"\\n", self._now()))):
            return True
        self._dropped = dropped
        return False

    def _put(self, records: memoryview) -> bool:
        done = 0
        try:
            if self._descriptor < 0:
                self._descriptor = os.open(self._path, _OPEN, _MODE)
                self._size = _mend(self._path, self._descriptor)
            while done < len(records):
                done += os.write(self._descriptor, records[done:])
        except OSError as error:
            self._give_up(records, done, error)
            return False
        self._size += done
        return True

    def _give_up(self, records: memoryview, done: int, error: OSError) -> None:
        """The disk is full, or worse: keep the records that are whole, and count the rest."""
        kept = bytes(records[:done]).rfind(b"\n") + 1
        self._dropped += bytes(records[kept:]).count(b"\n")
        self._why = os.strerror(error.errno or 0)
        if self._descriptor < 0:
            return
        self._size += kept
        try:
            os.ftruncate(self._descriptor, self._size)
        except OSError:
            # Opened anew at the next record, which then also mends its end.
            os.close(self._descriptor)
            self._descriptor = -1

    def _rotate(self) -> None:
        """Docker's names: the file becomes `path.1`; the oldest goes. A step that fails leaves the file to grow no further."""
        os.close(self._descriptor)
        self._descriptor = -1
        names = [self._path, *(f"{self._path}.{number}" for number in range(1, self._max_files))]
        for older, newer in zip(reversed(names[1:]), reversed(names[:-1]), strict=True):
            _rename(newer, older)
        try:
            self._descriptor = os.open(self._path, _OPEN | os.O_TRUNC, _MODE) if len(names) > 1 else _anew(self._path)
            self._size = 0
        except OSError:
            # `_put` opens it again, or drops and counts.
            self._size = 0


def escape(data: bytes) -> bytes:
    r"""`data` as it stands in a JSON string by Go's rules, but for its newlines, which stay.

    Control characters, quote, backslash, `<`, `>`, `&`, U+2028 and U+2029 are escaped; a byte that is not UTF-8 becomes \ufffd.
    """
    special = data.translate(None, _PLAIN)
    if special:
        found = set(special)
        if 0x5C in found:
            found.remove(0x5C)
            data = data.replace(b"\\", b"\\\\")
        for byte in found:
            data = data.replace(b"%c" % byte, _ESCAPES[byte])
    if data.isascii():
        return data
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        data = data.decode("utf-8", "surrogateescape").translate(_UNDECODABLE).encode("utf-8")
    return data.replace(b"\xe2\x80\xa8", b"\\u2028").replace(b"\xe2\x80\xa9", b"\\u2029")


def _may_have_long_line(data: bytes) -> bool:
    """False only if no line in `data` reaches PIECE bytes: such a line would fill one of the windows."""
    if len(data) < PIECE:
        return False
    windows = range(0, len(data) - _WINDOW + 1, _WINDOW)
    return any(data.find(b"\n", at, at + _WINDOW) < 0 for at in windows)


def _mend(path: str, descriptor: int) -> int:
    """Cut off a last record without an end (a crash, a full disk). The size of the file then."""
    size = os.fstat(descriptor).st_size
    if size == 0:
        return 0
    end = size
    reading = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        while end:
            start = max(0, end - _BLOCK)
            last = os.pread(reading, end - start, start)
            newline = last.rfind(b"\n")
            end = start + newline + 1
            if newline >= 0:
                break
    finally:
        os.close(reading)
    if end < size:
        os.ftruncate(descriptor, end)
    return end


def _anew(path: str) -> int:
    """A new file in the place of the old one, which readers may still have open."""
    os.unlink(path)
    return os.open(path, _OPEN | os.O_EXCL, _MODE)


def _rename(source: str, target: str) -> None:
    try:
        os.rename(source, target)
    except OSError:
        # Missing, or refused: the bound matters more than the old records, and opening truncates.
        return
