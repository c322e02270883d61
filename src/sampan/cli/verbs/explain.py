"""`run --explain`: the steps the engine took for a start, as it recorded them (GET /containers/{id}/sampan/steps)."""

from __future__ import annotations

import os

from sampan.cli.output.columns import align, width_of
from sampan.cli.output.listing import ellipsis
from sampan.client.documents import number_of, text_of
from sampan.client.failures import RefusedByDaemon

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sampan.cli.session import Session
    from sampan.client.documents import Document

_HEADINGS = ("AT", "TOOK", "PRINCIPLE", "STEP", "SOURCE", "OPERANDS")
_BOLD, _PLAIN = "\x1b[1m", "\x1b[0m"
_COLOURS = {
    "isolation": "\x1b[36m",
    "control groups": "\x1b[33m",
    "union file system": "\x1b[35m",
    "shared kernel": "\x1b[31m",
    "runtime environment": "\x1b[32m",
}


def fetch_steps(session: Session, identifier: str) -> list[Document]:
    """The steps of the last start; empty, with a line on stderr, where the daemon records none."""
    try:
        return session.engine.fetch_list(f"/containers/{identifier}/sampan/steps")
    except RefusedByDaemon as refusal:
        session.warn(f"--explain: this daemon does not tell its steps: {refusal.message}")
        return []


def draw_steps(session: Session, steps: list[Document]) -> None:
    """A table on stderr, so that the program's own output stays alone on stdout. Operands are cut to the terminal's width."""
    if not steps:
        return
    lines = [line.rstrip() for line in align([_HEADINGS, *(_row(step) for step in steps)], least=0)]
    room = _columns()
    if room:
        lines = [ellipsis(line, room) for line in lines]
    if session.colours(2):
        lines = [f"{_BOLD}{lines[0]}{_PLAIN}", *map(_coloured, lines[1:], steps)]
    last = max(number_of(step, "atUs") + number_of(step, "tookUs") for step in steps)
    lines.append(f"{len(steps)} steps in {last / 1000:.2f} ms; some of them overlap")
    session.warn("\n".join(lines))


def _columns() -> int:
    try:
        return max(60, os.get_terminal_size(2).columns)
    except OSError:
        return 0  # a file or a pipe takes whole lines


def _coloured(line: str, step: Document) -> str:
    colour = _COLOURS.get(text_of(step, "principle"))
    return f"{colour}{line}{_PLAIN}" if colour else line


def _row(step: Document) -> tuple[str, ...]:
    return (
        _milliseconds(number_of(step, "atUs")),
        _milliseconds(number_of(step, "tookUs")),
        text_of(step, "principle"),
        text_of(step, "name"),
        text_of(step, "source").removeprefix("sampan/"),
        text_of(step, "operands").replace("\t", " ").replace("\n", " "),
    )


def _milliseconds(microseconds: int) -> str:
    text = f"{microseconds / 1000:.2f}"
    return " " * (7 - width_of(text)) + text + " ms"
