"""Text in columns, as Go's tabwriter with a least width of 10 and 3 blanks between draws Docker's tables."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

LEAST = 10
BETWEEN = 3


def width_of(text: str) -> int:
    """Columns on a terminal, as Docker's tabwriter counts: a character each, East Asian wide ones two."""
    if text.isascii():
        return len(text)
    from unicodedata import east_asian_width

    return sum(2 if east_asian_width(letter) in "WF" else 1 for letter in text)


def align(rows: Sequence[Sequence[str]], least: int = LEAST) -> list[str]:
    """One line per row. A column ends where a row has no cell in it: such a block of rows has widths of its own.

    The last cell of a row is never padded (a tab ends a cell, and no tab follows it).
    """
    widths: list[dict[int, int]] = [{} for _ in rows]
    _measure(rows, widths, 0, len(rows), 0, least)
    lines = []
    for row, found in zip(rows, widths, strict=True):
        cells = [cell + " " * (found[at] - width_of(cell)) for at, cell in enumerate(row[:-1])]
        lines.append("".join(cells) + (row[-1] if row else ""))
    return lines


def _measure(
    rows: Sequence[Sequence[str]], widths: list[dict[int, int]], first: int, end: int, column: int, least: int
) -> None:
    at = first
    while at < end:
        if len(rows[at]) - 1 <= column:
            at += 1
            continue
        stop = at
        width = least
        while stop < end and len(rows[stop]) - 1 > column:
            width = max(width, width_of(rows[stop][column]) + BETWEEN)
            stop += 1
        for row in range(at, stop):
            widths[row][column] = width
        _measure(rows, widths, at, stop, column + 1, least)
        at = stop


def align_text(text: str, least: int = LEAST) -> str:
    """`text` with its tabs turned into columns, its line ends kept."""
    lines = text.split("\n")
    aligned = align([line.split("\t") for line in lines], least)
    return "\n".join(aligned)
