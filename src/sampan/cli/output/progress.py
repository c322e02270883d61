"""The stream of JSON messages that pull and load answer with: bars on a terminal, lines in a pipe."""

from __future__ import annotations

import os
import sys
import time

from sampan.cli.failures import Exit
from sampan.cli.output.units import decimal_size
from sampan.client import documents
from sampan.client.documents import number_of, object_of, text_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sampan.client.documents import Document

MAX_MESSAGE = 4 * 1024 * 1024
BAR = 50
WIDE = 200


def messages(pieces: Iterable[bytes]) -> Iterator[Document]:
    """The JSON objects of a stream, one a line. MalformedDocument for what is none."""
    held = b""
    for piece in pieces:
        held += piece
        *lines, held = held.split(b"\n")
        for line in lines:
            if line.strip():
                yield documents.document(line)
        if len(held) > MAX_MESSAGE:
            raise documents.MalformedDocument(f"a message of more than {MAX_MESSAGE} bytes")
    if held.strip():
        yield documents.document(held)


class Progress:
    """Draws messages to descriptor `stream`, as docker's command does. Lines with an id are rewritten in place on a terminal."""

    def __init__(self, stream: int, quiet: bool = False) -> None:
        self._file = sys.stdout if stream == 1 else sys.stderr
        self._stream = stream
        self._terminal = os.isatty(stream)
        self._quiet = quiet
        self._rows: dict[str, int] = {}

    def show(self, message: Document) -> None:
        """One message; Exit 1 with the daemon's words when it is an error."""
        error = text_of(object_of(message, "errorDetail"), "message") or text_of(message, "error")
        if error:
            raise Exit(1, error)
        if self._quiet or "aux" in message:
            return
        if text_of(message, "id") and "progressDetail" in message:
            self._show_row(message)
        else:
            # Whatever stands alone pushes the rows out of reach.
            self._rows = {}
            self._file.write(self._line(message))
        self._file.flush()

    def _line(self, message: Document) -> str:
        """A message that is no row: what it is about, and its text; text of a stream brings its own line end."""
        name = text_of(message, "id")
        text = text_of(message, "stream") or text_of(message, "status") + "\n"
        return f"{name}: {text}" if name else text

    def _show_row(self, message: Document) -> None:
        name, status = text_of(message, "id"), text_of(message, "status")
        detail = object_of(message, "progressDetail")
        current, total = number_of(detail, "current"), number_of(detail, "total")
        if not self._terminal:
            if current <= 0 and total <= 0:
                self._file.write(f"{name}: {status}\n")
            return
        if name not in self._rows:
            self._rows[name] = len(self._rows)
            self._file.write("\n")
        up = len(self._rows) - self._rows[name]
        drawn = bar(current, total, self._columns())
        self._file.write(f"\x1b[{up}A\x1b[2K\r{name}: {status} {drawn}\r\x1b[{up}B")

    def _columns(self) -> int:
        try:
            return os.get_terminal_size(self._stream).columns
        except OSError:
            return WIDE


def bar(current: int, total: int, columns: int = WIDE) -> str:
    """`[====>   ]  12MB/50MB`; only the numbers where the terminal is narrow, only the amount where the whole is not known."""
    if current <= 0 and total <= 0:
        return ""
    if total <= 0:
        return f"{decimal_size(current):>8}"
    done = min(BAR, int(current / total * 100) // 2)
    drawn = f"[{'=' * done}>{' ' * (BAR - done)}] " if columns > 110 else ""
    numbers = f"{decimal_size(current):>8}"
    return f"{drawn}{numbers}" if current > total else f"{drawn}{numbers}/{decimal_size(total)}"


class Meter:
    """A bar on stderr for bytes that this command carries itself; draws nothing where stderr is no terminal, or for a moment."""

    def __init__(self, title: str, total: int) -> None:
        self._title = title
        self._total = total
        self._current = 0
        self._drawn = 0.0
        self._next = time.monotonic() + 0.3
        self._terminal = os.isatty(2)

    def __call__(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """The same pieces, counted; the bar is wiped away at the end."""
        try:
            for piece in pieces:
                self._current += len(piece)
                self._draw()
                yield piece
        finally:
            if self._drawn:
                os.write(2, b"\r\x1b[2K")

    def _draw(self) -> None:
        now = time.monotonic()
        if self._terminal and now >= self._next:
            self._next, self._drawn = now + 0.1, now
            os.write(2, f"\r\x1b[2K{self._title} {bar(self._current, self._total)}".encode())
