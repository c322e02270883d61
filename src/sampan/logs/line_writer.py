"""From chunks of a program's output to the records of its log, whatever a record looks like.

Whole chunks are turned into records at once, by operations on bytes, so that a million short lines take a fraction of a
second; the lines of a chunk share its time. A line of more than PIECE bytes becomes several records, of which only the last
has the newline.

Loaded by the launcher.
"""

from __future__ import annotations

import time

from sampan.logs.log_file import BLOCK, LogFile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    class Log(Protocol):
        """What a monitor needs of a log driver."""

        def feed(self, stream: int, chunk: bytes | memoryview) -> None:
            """Take output of the program, cut anywhere: 1 is its output, 2 its errors."""

        @property
        def path(self) -> str:
            """Of the current file."""

        def since(self, device: int, inode: int, offset: int) -> tuple[bytes, list[tuple[int, bytes]]] | None:
            """What came behind a place in the log: the records, and for each stream the begin of a line, held back until it ends.

            None where the place is too far back or in another file. Raises OSError.
            """

        def clear(self) -> None:
            """Forget what was written. Raises OSError where it stays."""

        def close(self) -> None:
            """Write what is held back. The program has ended."""


PIECE = 16384
"""Bytes of a line in one record, as in Docker's copier."""
_WINDOW = PIECE // 2


class _Stream:
    """What is held back of a stream: the line begun (less than PIECE bytes), and the time of a line already begun to be written."""

    __slots__ = ("pending", "since")

    def __init__(self) -> None:
        self.pending = b""
        self.since = b""


class LineWriter:
    """The log of one container, written by its monitor. A driver's subclass says what stands around the text of a record."""

    __slots__ = ("_file", "_streams")

    def __init__(self, path: str, max_size: int, max_files: int, compress: bool, numbered: bool) -> None:
        self._streams = {1: _Stream(), 2: _Stream()}
        self._file = LogFile(path, max_size, max_files, self._said, compress=compress, numbered=numbered)

    def around(self, stream: int, whole: bool, moment: bytes) -> tuple[bytes, bytes]:
        """What stands before and behind the text of a record; the end of `behind` is the record's only newline."""
        raise NotImplementedError

    def escaped(self, text: bytes) -> bytes:
        """Text as it stands in a record. Newlines stay, so that many lines can be escaped at once."""
        raise NotImplementedError

    def moment(self, time_ns: int) -> bytes:
        """A time, in nanoseconds since the epoch, as it stands in a record."""
        raise NotImplementedError

    @property
    def dropped(self) -> int:
        """Records that could not be written and are not yet accounted for in the log."""
        return self._file.dropped

    def lose(self, lines: int, why: str) -> None:
        """Count lines that were lost on the way here; the log will say so."""
        self._file.lose(lines, why)

    def feed(self, stream: int, chunk: bytes | memoryview, time_ns: int = 0) -> None:
        """Take what the program has put out on `stream` (1 output, 2 errors), cut anywhere, now or at `time_ns`."""
        state = self._streams[stream]
        now = self.moment(time_ns or time.time_ns())
        data = state.pending + chunk if state.pending else bytes(chunk)
        if state.since or _may_have_long_line(data):
            self._file.append(self._pieces(stream, state, data, now))
            return
        last = data.rfind(b"\n") + 1
        state.pending = data[last:]
        if not last:
            return
        before, behind = self.around(stream, True, now)
        between = behind + before
        lines = data.count(b"\n")
        step = last * BLOCK // (last + lines * (len(between) + 1)) or 1
        at = 0
        while at < last:
            cut = last if last - at <= step else data.index(b"\n", at + step - 1) + 1
            self._file.append(before + self.escaped(data[at : cut - 1]).replace(b"\n", between) + behind)
            at = cut

    @property
    def path(self) -> str:
        """Of the current file."""
        return self._file.path

    def since(self, device: int, inode: int, offset: int) -> tuple[bytes, list[tuple[int, bytes]]] | None:
        """See `Log`."""
        records = self._file.since(device, inode, offset)
        if records is None:
            return None
        return records, [(stream, state.pending) for stream, state in self._streams.items() if state.pending]

    def clear(self) -> None:
        """Forget what was written; a line that is begun stays. Raises OSError where the log stays."""
        self._file.clear()

    def close(self) -> None:
        """Write lines that have no end, and close the file. The program has ended."""
        for stream, state in self._streams.items():
            if state.pending:
                self._file.append(
                    self._record(stream, state.pending, False, state.since or self.moment(time.time_ns()))
                )
                state.pending = b""
        self._file.close()

    def _pieces(self, stream: int, state: _Stream, data: bytes, now: bytes) -> bytes:
        """Records one by one, where lines are longer than a record may be. All pieces of a line have the time of its first."""
        records = []
        at = 0
        while True:
            end = data.find(b"\n", at, at + PIECE)
            if end >= 0:
                records.append(self._record(stream, data[at:end], True, state.since or now))
                state.since = b""
                at = end + 1
            elif len(data) - at >= PIECE:
                state.since = state.since or now
                records.append(self._record(stream, data[at : at + PIECE], False, state.since))
                at += PIECE
            else:
                break
        state.pending = data[at:]
        return b"".join(records)

    def _record(self, stream: int, text: bytes, whole: bool, moment: bytes) -> bytes:
        before, behind = self.around(stream, whole, moment)
        return before + self.escaped(text) + behind

    def _said(self, text: bytes) -> bytes:
        return self._record(2, text, True, self.moment(time.time_ns()))


def _may_have_long_line(data: bytes) -> bool:
    """False only if no line in `data` reaches PIECE bytes: such a line would fill one of the windows."""
    if len(data) < PIECE:
        return False
    windows = range(0, len(data) - _WINDOW + 1, _WINDOW)
    return any(data.find(b"\n", at, at + _WINDOW) < 0 for at in windows)
