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
    """Draws messages to descriptor `stream`. Lines with an id are rewritten in place on a terminal."""

    def __init__(self, stream: int, quiet: bool = False) -> None:
        self._file = sys.stdout if stream == 1 else sys.stderr
        self._terminal = os.isatty(stream)
        self._quiet = quiet
        self._rows: dict[str, int] = {}

    def show(self, message: Document) -> None:
        """One message; Exit 1 with the daemon's words when it is an error."""
        error = text_of(object_of(message, "errorDetail"), "message") or text_of(message, "error")
        if error:
            raise Exit(1, error)
        if self._quiet:
            return
        text = text_of(message, "stream")
        if text:
            self._file.write(text)
        elif text_of(message, "id"):
            self._show_row(message)
        elif text_of(message, "status"):
            self._file.write(text_of(message, "status") + "\n")
        self._file.flush()

    def _show_row(self, message: Document) -> None:
        identifier = text_of(message, "id")
        line = f"{identifier}: {text_of(message, 'status')} {self._bar(message)}".rstrip()
        if not self._terminal:
            if not object_of(message, "progressDetail"):
                self._file.write(line + "\n")
            return
        if identifier not in self._rows:
            self._rows = {known: row + 1 for known, row in self._rows.items()}
            self._rows[identifier] = 1
            self._file.write("\n")
        up = self._rows[identifier]
        self._file.write(f"\x1b[{up}A\r\x1b[2K{line}\x1b[{up}B\r")

    def _bar(self, message: Document) -> str:
        detail = object_of(message, "progressDetail")
        return bar(number_of(detail, "current"), number_of(detail, "total"))


def bar(current: int, total: int) -> str:
    """`[====>   ]  12MB/50MB`; the amount alone where the whole is not known."""
    if current <= 0:
        return ""
    if total <= 0:
        return f"{decimal_size(current):>8}"
    done = min(BAR, current * BAR // total)
    drawn = "=" * done + (">" if done < BAR else "")
    return f"[{drawn:<{BAR}}] {decimal_size(current):>8}/{decimal_size(total)}"


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
