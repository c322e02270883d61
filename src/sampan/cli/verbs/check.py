"""`system check`: everything that images need on the disk, looked at by the daemon; what is damaged, and what to do."""

from __future__ import annotations

import os
import time

from sampan.cli.failures import Exit
from sampan.cli.options import Command, Option
from sampan.cli.output.columns import align
from sampan.cli.output.progress import bar, messages
from sampan.client.documents import number_of, object_of, text_of, texts_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sampan.cli.options import Parsed
    from sampan.cli.session import Session
    from sampan.client.documents import Document

_RED, _GREEN, _PLAIN = "\x1b[31m", "\x1b[32m", "\x1b[0m"
_REDRAW = 0.1


def _check(session: Session, parsed: Parsed) -> int:
    """Exit 1 where something is damaged or left over, and was not repaired."""
    repair = parsed.flag("repair")
    answer = session.engine.stream("POST", "/sampan/check", {"repair": "1" if repair else None})
    findings: list[Document] = []
    verdict: Document = {}
    line = _Line(quiet=parsed.flag("quiet"))
    try:
        for message in messages(answer.pieces()):
            if object_of(message, "Finding"):
                findings.append(object_of(message, "Finding"))
            elif object_of(message, "Verdict"):
                verdict = object_of(message, "Verdict")
            else:
                line.draw(object_of(message, "Progress"))
    finally:
        line.wipe()
        answer.wire.close()
    if not verdict:
        raise Exit(1, "the daemon broke the check off; its log says why")
    if not parsed.flag("quiet"):
        _print(session, findings, verdict)
    return 1 if number_of(verdict, "Findings") > number_of(verdict, "Repaired") else 0


def _print(session: Session, findings: list[Document], verdict: Document) -> None:
    if findings:
        rows = [["KIND", "NAME", "IMAGES", "PROBLEM", "DONE" if number_of(verdict, "Repaired") else "WHAT TO DO"]]
        rows += [
            [
                text_of(finding, "Kind"), _short(text_of(finding, "Name")), ", ".join(texts_of(finding, "Images")) or "-",
                text_of(finding, "Problem"), text_of(finding, "Remedy"),
            ]
            for finding in findings
        ]  # fmt: skip
        lines = align(rows)
        if session.colours():
            lines[1:] = [
                f"{_GREEN if finding.get('Repaired') is True else _RED}{line}{_PLAIN}"
                for line, finding in zip(lines[1:], findings, strict=True)
            ]
        session.say("\n".join(line.rstrip() for line in lines) + "\n")
    counts = [f"{number_of(verdict, key)} {key.lower()}" for key in ("Images", "Blobs", "Layers")]
    found, repaired = number_of(verdict, "Findings"), number_of(verdict, "Repaired")
    said = "all whole" if not found else f"{found} found, {repaired} repaired"
    session.say(f"{', '.join(counts)}: {said}")


def _short(name: str) -> str:
    """A digest as the first twelve digits of it; other names whole."""
    return name[7:19] if name.startswith("sha256:") else name


class _Line:
    """One line on stderr that is drawn over and over; nothing where that is no terminal."""

    def __init__(self, *, quiet: bool) -> None:
        self._drawing = not quiet and os.isatty(2)
        self._next = 0.0

    def draw(self, progress: Document) -> None:
        """The bar as it stands now, not more often than eyes can follow."""
        now = time.monotonic()
        if self._drawing and now >= self._next:
            self._next = now + _REDRAW
            drawn = bar(number_of(progress, "Current"), number_of(progress, "Total"))
            os.write(2, f"\r\x1b[2KChecking {drawn}".encode())

    def wipe(self) -> None:
        """Take the line away."""
        if self._next:
            os.write(2, b"\r\x1b[2K")


CHECK = Command(
    "[OPTIONS]",
    "Look whether all that images need is whole on the disk",
    _check,
    (
        Option("repair", "bool", "Unpack damaged layers again, move damaged blobs away, delete what nothing needs"),
        Option("quiet", "bool", "Print nothing; the exit code tells", "q"),
    ),
    examples=("system check", "system check --repair"),
)
