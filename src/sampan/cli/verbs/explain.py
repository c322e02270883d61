"""`run --explain`: the steps the engine took for a start, as it recorded them (GET /containers/{id}/sampan/steps)."""

from __future__ import annotations

from sampan.cli.output.columns import align
from sampan.client.documents import number_of, text_of
from sampan.client.failures import RefusedByDaemon

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sampan.cli.session import Session
    from sampan.client.documents import Document

_HEADINGS = ["AT", "TOOK", "PRINCIPLE", "STEP", "OPERANDS", "SOURCE"]
_DIM, _BOLD, _PLAIN = "\x1b[2m", "\x1b[1m", "\x1b[0m"


def fetch_steps(session: Session, identifier: str) -> list[Document]:
    """The steps of the last start; empty, with a line on stderr, where the daemon records none."""
    try:
        return session.engine.fetch_list(f"/containers/{identifier}/sampan/steps")
    except RefusedByDaemon as refusal:
        session.warn(f"--explain: this daemon does not tell its steps: {refusal.message}")
        return []


def draw_steps(session: Session, steps: list[Document]) -> None:
    """A table on stderr, so that the program's own output stays alone on stdout."""
    if not steps:
        return
    rows = [_HEADINGS, *(_row(step) for step in steps)]
    lines = align(rows)
    if session.colours(2):
        lines[0] = f"{_BOLD}{lines[0]}{_PLAIN}"
    total = sum(number_of(step, "took_us") for step in steps)
    lines.append(f"{len(steps)} steps, {total / 1000:.2f} ms in them")
    session.warn("\n".join(lines))


def _row(step: Document) -> list[str]:
    operands = step.get("operands")
    if isinstance(operands, list):
        shown = " ".join(str(operand) for operand in operands)
    elif isinstance(operands, dict):
        shown = " ".join(f"{key}={value}" for key, value in operands.items())
    else:
        shown = str(operands or "")
    return [
        f"{number_of(step, 'at_us') / 1000:.2f} ms",
        f"{number_of(step, 'took_us') / 1000:.2f} ms",
        text_of(step, "principle"),
        text_of(step, "name"),
        shown if len(shown) <= 80 else shown[:79] + "…",
        text_of(step, "source"),
    ]
