"""A build on a terminal: what runs, for how long, and what it says, redrawn in place; at the end everything that was done.

[+] Building 3.1s (3/5)
 => CACHED [2/4] RUN apt-get install gcc                                                                   0.0s
 => [3/4] RUN make                                                                                         2.9s
 => => because the file main.c of the context changed
 => => # gcc -c main.c
"""

from __future__ import annotations

import os
import threading
import time

from sampan.cli.build.plain import amount_text
from sampan.cli.output.columns import width_of
from sampan.cli.output.listing import ellipsis

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from sampan.cli.build.board import Amount, Row
    from sampan.client.documents import Document

_SHORTEST = 0.1
"""Seconds between two drawings."""
_TAIL = 6
_NARROWEST = 30
_BLUE, _RED, _PLAIN = "\x1b[34m", "\x1b[31m", "\x1b[0m"
_HIDE, _SHOW = "\x1b[?25l", "\x1b[?25h"


class Live:
    """Draws to the terminal behind `descriptor`. A thread keeps the times going; whoever reads the answer only tells."""

    def __init__(self, descriptor: int, colours: bool) -> None:
        self._descriptor = descriptor
        self._colours = colours
        self._rows: list[Row] = []
        self._began = time.time()
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._drawn = 0
        self._thread = threading.Thread(target=self._draw_on, daemon=True)
        self._thread.start()

    def changed(self, row: Row) -> None:
        """It is drawn with the next frame."""
        with self._lock:
            if row not in self._rows:
                self._rows.append(row)

    def logged(self, row: Row, lines: list[tuple[float, str]]) -> None:
        """The row has it; the next frame shows it."""

    def advanced(self, row: Row, part: str, amount: Amount) -> None:
        """The row has it; the next frame shows it."""

    def warned(self, warning: Document) -> None:
        """Nothing: findings are told together at the end."""

    def close(self, failed: bool) -> None:
        """The last frame, which stays."""
        self._over.set()
        self._thread.join()
        state = "ERROR" if failed else "FINISHED"
        self._draw(frame(self._rows, self._began, time.time(), self._columns(), state), last=True)

    def _draw_on(self) -> None:
        while not self._over.wait(_SHORTEST):
            with self._lock:
                rows = [*self._rows]
            lines = frame(rows, self._began, time.time(), self._columns(), "")
            self._draw(fitted(lines, self._height()))

    def _draw(self, lines: list[Line], last: bool = False) -> None:
        up = f"\x1b[{self._drawn}A" if self._drawn else ""
        body = "".join(f"\x1b[2K{self._coloured(line)}\r\n" for line in lines)
        self._drawn = 0 if last else len(lines)
        _write(self._descriptor, f"{_HIDE}{up}\r{body}\x1b[J{_SHOW}".encode("utf-8", "replace"))

    def _coloured(self, line: Line) -> str:
        return f"{line.colour}{line.text}{_PLAIN}" if self._colours and line.colour else line.text

    def _columns(self) -> int:
        return self._size().columns or 80

    def _height(self) -> int:
        return self._size().lines or 24

    def _size(self) -> os.terminal_size:
        try:
            return os.get_terminal_size(self._descriptor)
        except OSError:
            return os.terminal_size((80, 24))


class Line:
    """A line of a frame. `weight`: what is left out first where there is no room; the heading has the highest."""

    __slots__ = ("colour", "text", "weight")

    def __init__(self, text: str, weight: int, colour: str = "") -> None:
        self.text = text
        self.weight = weight
        self.colour = colour


_DONE, _TALK, _RUNNING, _HEADING = range(4)


def frame(rows: Iterable[Row], began: float, now: float, columns: int, state: str) -> list[Line]:
    """The lines of a frame. `state` is "" while the build goes on."""
    all_rows = list(rows)
    done = sum(1 for row in all_rows if row.completed)
    head = f"[+] Building {now - began:.1f}s ({done}/{len(all_rows)})" + (f" {state}" if state else "")
    lines = [Line(ellipsis(head, columns - 1), _HEADING)]
    for row in all_rows:
        lines += _row_lines(row, now, max(columns, _NARROWEST) - 1, state)
    return lines


def _row_lines(row: Row, now: float, columns: int, state: str) -> list[Line]:
    mark = "ERROR " if row.error else "CACHED " if row.cached else ""
    colour = _RED if row.error else _BLUE if row.completed else ""
    weight = _RUNNING if row.running or row.error else _DONE
    lines = [Line(_timed(f" => {mark}{plain_text(row.name)}", f"{row.took(now):.1f}s", columns), weight, colour)]
    if row.why:
        lines.append(Line(ellipsis(f" => => because {plain_text(row.why)}", columns), min(weight, _TALK), colour))
    for part, amount in [*row.amounts.items()][-_TAIL:]:
        text = f" => => {plain_text(part)} {amount_text(amount)}".rstrip()
        took = f"{amount.took:.1f}s" if amount.took >= 0 else f"{row.took(now):.1f}s"
        lines.append(Line(_timed(text, took, columns), min(weight, _TALK), colour))
    if row.running and not state:
        tail = [plain_text(text) for _, text in row.tail[-_TAIL:]]
        lines += [Line(ellipsis(f" => => # {text}", columns), _TALK) for text in tail]
    return lines


def _timed(text: str, took: str, columns: int) -> str:
    room = columns - len(took) - 1
    short = ellipsis(text, room)
    return short + " " * (room - width_of(short)) + " " + took


def fitted(lines: list[Line], height: int) -> list[Line]:
    """What of a frame fits on a terminal: what is done goes first, the oldest before the rest; then what programs say."""
    room = max(height - 1, 2)
    spare = len(lines) - room
    for weight in (_DONE, _TALK, _RUNNING):
        if spare <= 0:
            break
        kept = []
        for line in lines:
            if line.weight == weight and spare > 0:
                spare -= 1
            else:
                kept.append(line)
        lines = kept
    return lines


def plain_text(text: str) -> str:
    """What is left on a line after everything was written: nothing in it moves the cursor or changes colours."""
    shown = text.rstrip("\r").rpartition("\r")[2].expandtabs(8)
    if "\x1b" in shown:
        shown = _without_sequences(shown)
    return "".join(char for char in shown if char.isprintable())


def _without_sequences(text: str) -> str:
    """Terminal sequences taken out: ESC, `[`, parameters up to a letter; ESC and another character."""
    first, *others = text.split("\x1b")
    kept = [first]
    for part in others:
        at = 1
        if part.startswith("["):
            while at < len(part) and not "@" <= part[at] <= "~":
                at += 1
            at += 1
        kept.append(part[at:])
    return "".join(kept)


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
