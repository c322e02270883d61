"""`mode=non-blocking`: between a program and its log stands a bounded buffer, emptied by a thread.

The program never waits for the disk: what does not fit any more is dropped, whole lines of it, counted and told in the log.
The thread is the monitor's only other one; by then nothing is forked and no namespace changed any more.

Loaded by the launcher.
"""

from __future__ import annotations

import _thread
import time
from collections import deque

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sampan.logs.line_writer import LineWriter

_CLOSE_SECONDS = 10.0
"""How long the end of a program waits for a disk that hangs; what is not written by then is lost."""
_PIECE_COST = 128
"""What a piece takes beside its bytes, so that a program that writes byte by byte stays within the bound too."""
_JOINED = 16384
_JOINED_NS = 20_000_000
"""Output is joined to the piece before it up to this size and this much later; the lines of a piece share its time."""


class _Piece:
    __slots__ = ("data", "lost", "stream", "time_ns")

    def __init__(self, stream: int, data: bytes, time_ns: int, lost: int) -> None:
        self.stream = stream
        self.data = data
        self.time_ns = time_ns
        self.lost = lost
        """lines that were dropped before this piece"""


class BufferedLog:
    """Implements `line_writer.Log` in front of `writer`, with at most `size` bytes between (and always one piece)."""

    __slots__ = (
        "_closing",
        "_cut",
        "_done",
        "_held",
        "_lock",
        "_lost",
        "_open",
        "_pieces",
        "_size",
        "_skip",
        "_wake",
        "_writer",
    )

    def __init__(self, writer: LineWriter, size: int) -> None:
        self._writer = writer
        self._size = size
        self._pieces: deque[_Piece] = deque()
        self._held = 0
        self._lost = 0
        self._open = {1: False, 2: False}
        """what was kept of the stream ends within a line"""
        self._cut = {1: False, 2: False}
        """something was dropped since"""
        self._skip = {1: False, 2: False}
        """what was dropped ends within a line: its rest goes too"""
        self._closing = False
        self._lock = _thread.allocate_lock()
        self._wake = _thread.allocate_lock()
        self._wake.acquire()
        self._done = _thread.allocate_lock()
        self._done.acquire()
        _thread.start_new_thread(self._write_all, ())

    def feed(self, stream: int, chunk: bytes | memoryview) -> None:
        """Take output, or drop it. Never waits."""
        data = bytes(chunk)
        if self._skip[stream]:
            end = data.find(b"\n") + 1
            if not end:
                return
            self._skip[stream] = False
            data = data[end:]
            if not data:
                return
        with self._lock:
            if self._pieces and self._held + len(data) > self._size:
                ends = data.endswith(b"\n")
                self._lost += data.count(b"\n") + (not ends)
                self._cut[stream] = True
                self._skip[stream] = not ends
                return
            if self._cut[stream] and self._open[stream]:
                # The line whose beginning was kept ends here: what follows is not its rest.
                data = b"\n" + data
            self._cut[stream] = False
            self._open[stream] = not data.endswith(b"\n")
            self._keep(stream, data)
        self._rouse()

    @property
    def path(self) -> str:
        """Of the current file."""
        return self._writer.path

    def since(self, device: int, inode: int, offset: int) -> tuple[bytes, list[tuple[int, bytes]]] | None:
        """Nothing: what is on its way to the file cannot be told from what is there, and may yet be dropped."""
        _ = device, inode, offset
        return b"", []

    def clear(self) -> None:
        """Forget what was written. The thread does it, behind what it has to write; a failure is left at that."""
        with self._lock:
            self._pieces.append(_Piece(0, b"", 0, 0))
        self._rouse()

    def close(self) -> None:
        """Write everything out, for a bounded time."""
        self._closing = True
        self._rouse()
        self._done.acquire(timeout=_CLOSE_SECONDS)

    def _keep(self, stream: int, data: bytes) -> None:
        now = time.time_ns()
        last = self._pieces[-1] if self._pieces else None
        joins = last is not None and last.stream == stream and len(last.data) + len(data) <= _JOINED
        if last is not None and joins and not self._lost and now - last.time_ns < _JOINED_NS:
            last.data += data
            self._held += len(data)
            return
        self._pieces.append(_Piece(stream, data, now, self._lost))
        self._held += len(data) + _PIECE_COST
        self._lost = 0

    def _rouse(self) -> None:
        try:
            self._wake.release()
        except RuntimeError:
            # It is awake, and looks once more before it waits again.
            return

    def _write_all(self) -> None:
        while True:
            self._wake.acquire()
            while (piece := self._next()) is not None:
                self._write(piece)
            if self._closing:
                break
        self._tell(self._lost)
        self._writer.close()
        self._done.release()

    def _next(self) -> _Piece | None:
        with self._lock:
            return self._pieces.popleft() if self._pieces else None

    def _write(self, piece: _Piece) -> None:
        self._tell(piece.lost)
        if piece.stream:
            self._writer.feed(piece.stream, piece.data, piece.time_ns)
            with self._lock:
                # Only now: what is being written is held, too.
                self._held -= len(piece.data) + _PIECE_COST
            return
        try:
            self._writer.clear()
        except OSError as error:
            self._writer.lose(0, str(error))

    def _tell(self, lost: int) -> None:
        if lost:
            self._writer.lose(lost, f"the buffer of {self._size} bytes was full")
