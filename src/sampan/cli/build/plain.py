"""A build as lines, for pipes and logs: each with the number of its piece of work, as docker writes them.

#2 [2/3] RUN make
#2 0.120 gcc -c main.c
#2 DONE 1.2s
"""

from __future__ import annotations

from sampan.cli.output.units import decimal_size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TextIO

    from sampan.cli.build.board import Amount, Row
    from sampan.client.documents import Document


class Plain:
    """Writes to `file` what has happened, as soon as it has."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._last = 0
        self._named: set[int] = set()
        self._ended: set[int] = set()
        self._done: set[tuple[int, str]] = set()

    def changed(self, row: Row) -> None:
        """Its heading at the first time, how it ended at the last."""
        lines = []
        if row.completed and row.shown not in self._ended:
            self._ended.add(row.shown)
            if row.why:
                lines.append(f"not cached: {row.why}")
            lines.append(_end(row))
        self._write(row, lines)

    def logged(self, row: Row, lines: list[tuple[float, str]]) -> None:
        """Output, each line with its time."""
        self._write(row, [f"{at:.3f} {text}" for at, text in lines])

    def advanced(self, row: Row, part: str, amount: Amount) -> None:
        """Only ends are told: what goes on between is for eyes."""
        if amount.took >= 0 and (row.shown, part) not in self._done:
            self._done.add((row.shown, part))
            self._write(row, [f"{part} {amount_text(amount)} {amount.took:.1f}s done".replace("  ", " ")])

    def warned(self, warning: Document) -> None:
        """Nothing: findings are told together at the end."""

    def close(self, failed: bool) -> None:  # noqa: ARG002 - the protocol's
        """Let go of what is held."""
        self._file.flush()

    def _write(self, row: Row, lines: list[str]) -> None:
        if self._last and self._last != row.shown:
            self._file.write("\n")
        self._last = row.shown
        if row.shown not in self._named:
            self._named.add(row.shown)
            self._file.write(f"#{row.shown} {row.name}\n")
        self._file.writelines(f"#{row.shown} {line}\n" for line in lines)
        self._file.flush()


class Silent:
    """Shows nothing: of --quiet only the id is printed, and a failure as always."""

    def changed(self, row: Row) -> None:
        """Nothing."""

    def logged(self, row: Row, lines: list[tuple[float, str]]) -> None:
        """Nothing."""

    def advanced(self, row: Row, part: str, amount: Amount) -> None:
        """Nothing."""

    def warned(self, warning: Document) -> None:
        """Nothing."""

    def close(self, failed: bool) -> None:
        """Nothing."""


def _end(row: Row) -> str:
    if row.error:
        return f"ERROR: {row.error}"
    return "CACHED" if row.cached else f"DONE {row.took(row.completed):.1f}s"


def amount_text(amount: Amount) -> str:
    """`2.05MB / 4.1MB`, `2.05MB`, or nothing where there is no amount."""
    if amount.total > 0:
        return f"{decimal_size(amount.current, 3)} / {decimal_size(amount.total, 3)}"
    return decimal_size(amount.current, 3) if amount.current > 0 else ""
