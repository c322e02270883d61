"""The events of a build, put together: what is known of each piece of work, for whoever shows it.

Whatever the daemon says is from outside: texts lose what moves a cursor where they are drawn, and what is kept is bounded.
"""

from __future__ import annotations

import time

from sampan.client.documents import MalformedDocument, number_of, text_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    from sampan.client.documents import Document

    class View(Protocol):
        """Shows a build as it goes on."""

        def changed(self, row: Row) -> None:
            """Something is known of a piece of work: it started, or has ended."""

        def logged(self, row: Row, lines: list[tuple[float, str]]) -> None:
            """Its program wrote whole lines; each with the seconds since it started."""

        def advanced(self, row: Row, part: str, amount: Amount) -> None:
            """A part of it has got further."""

        def warned(self, warning: Document) -> None:
            """The checks found something."""

        def close(self, failed: bool) -> None:
            """Nothing more comes."""


STREAM = "sampan.build"
"""`id` of a line with an event; the daemon's side is `build/progress.py`."""
TAIL = 100
"""Lines of a program's output that are kept for the end."""
_LINE_LIMIT = 16 * 1024
_ROWS = 20_000
_NEVER = "never built before"
"""The reason of a step that nothing can be told of."""
_SECOND = 1_000_000_000


class Amount:
    """How far a part has got; a `total` of 0 is not known. Seconds, as of the row's start; `took` -1 while it goes on."""

    __slots__ = ("current", "took", "total")

    def __init__(self, current: int, total: int, took: float = -1.0) -> None:
        self.current = current
        self.total = total
        self.took = took


class Row:
    """A piece of work. `shown` is its number in what was shown, 0 before it started. Times are seconds since the epoch."""

    def __init__(self, number: int, name: str) -> None:
        self.number = number
        self.name = name
        self.shown = 0
        self.started = 0.0
        self.completed = 0.0
        self.cached = False
        self.why = ""
        self.error = ""
        self.lines = (0, 0)
        self.inputs: list[int] = []
        self.tail: list[tuple[float, str]] = []
        self.amounts: dict[str, Amount] = {}
        self.held: dict[int, bytes] = {}
        """by stream: what has come of a line whose end has not"""

    @property
    def running(self) -> bool:
        """Whether it is being done."""
        return self.started > 0 and self.completed <= 0

    def took(self, now: float) -> float:
        """Seconds that it took, or has taken until `now`."""
        return max(0.0, (self.completed or now) - self.started)


class Board:
    """What is known of a build. `rows` by the daemon's numbers, this command's own work by numbers below 0."""

    def __init__(self, view: View) -> None:
        self._view = view
        self.rows: dict[int, Row] = {}
        self.began = time.time()
        self._shown = 0

    def take(self, event: Document) -> None:
        """One event of the answer. Raises MalformedDocument."""
        kind = text_of(event, "type")
        if kind == "warning":
            self._view.warned(event)
            return
        if kind == "vertex":
            self._vertex(event)
            return
        row = self.rows.get(number_of(event, "vertex"))
        if row is None:
            return
        if kind == "log":
            self._log(row, event)
        elif kind == "amount":
            current, total = number_of(event, "current"), number_of(event, "total")
            completed = number_of(event, "completed") / _SECOND
            self.advance(row, text_of(event, "part"), current, total, completed - row.started if completed else -1.0)

    def begin(self, name: str) -> Row:
        """A piece of work of this command's own."""
        row = self._row(-len(self.rows) - 1, name)
        row.started = time.time()
        self._change(row)
        return row

    def end(self, row: Row, error: str = "") -> None:
        """It has ended."""
        row.completed = time.time()
        row.error = error
        self._change(row)

    def advance(self, row: Row, part: str, current: int, total: int, took: float = -1.0) -> None:
        """A part has got so far."""
        amount = row.amounts[part] = Amount(current, total, took)
        if row.shown:
            self._view.advanced(row, part, amount)

    @property
    def failed(self) -> Row | None:
        """What went wrong first, other than by being cancelled with it."""
        failures = [row for row in self.rows.values() if row.error]
        failures.sort(key=lambda row: ("cancel" in row.error, row.completed))
        return failures[0] if failures else None

    def _row(self, number: int, name: str) -> Row:
        row = self.rows.get(number)
        if row is None:
            if len(self.rows) >= _ROWS:
                raise MalformedDocument(f"a build of more than {_ROWS} steps")
            row = self.rows[number] = Row(number, name)
        return row

    def _vertex(self, event: Document) -> None:
        row = self._row(number_of(event, "vertex"), text_of(event, "name"))
        row.started = number_of(event, "started") / _SECOND
        row.completed = number_of(event, "completed") / _SECOND
        row.cached = event.get("cached") is True
        why = text_of(event, "why")
        row.why, row.error = why if why != _NEVER else "", text_of(event, "error")
        row.lines = (number_of(event, "line"), number_of(event, "end"))
        inputs = event.get("inputs")
        row.inputs = [one for one in inputs if isinstance(one, int)] if isinstance(inputs, list) else []
        if row.completed:
            self._flush(row)
        if row.started:
            self._change(row)

    def _change(self, row: Row) -> None:
        if not row.shown:
            self._shown += 1
            row.shown = self._shown
        self._view.changed(row)

    def _log(self, row: Row, event: Document) -> None:
        from binascii import Error, a2b_base64

        try:
            data = a2b_base64(text_of(event, "data"), strict_mode=True)
        except (Error, ValueError) as error:
            raise MalformedDocument(f"a log that is no base64: {error}") from None
        stream = number_of(event, "stream") or 1
        *whole, left = (row.held.get(stream, b"") + data).split(b"\n")
        if len(left) > _LINE_LIMIT:
            whole, left = [*whole, left], b""
        row.held[stream] = left
        self._lines(row, whole, number_of(event, "at") / _SECOND - row.started)

    def _flush(self, row: Row) -> None:
        left = [row.held[stream] for stream in sorted(row.held) if row.held[stream]]
        row.held = {}
        self._lines(row, left, row.completed - row.started)

    def _lines(self, row: Row, whole: list[bytes], at: float) -> None:
        if whole:
            lines = [(max(0.0, at), str(line.removesuffix(b"\r"), "utf-8", "replace")) for line in whole]
            row.tail = [*row.tail, *lines][-TAIL:]
            self._view.logged(row, lines)
