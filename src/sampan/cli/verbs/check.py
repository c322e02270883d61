"""`system check`: everything that images need on the disk, looked at by the daemon or without one; what is damaged, what to do."""

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
    from collections.abc import Generator

    from sampan.cli.options import Parsed
    from sampan.cli.session import Session
    from sampan.client.documents import Document

_RED, _GREEN, _PLAIN = "\x1b[31m", "\x1b[32m", "\x1b[0m"
_REDRAW = 0.1


def _check(session: Session, parsed: Parsed) -> int:
    """Exit 1 where something is damaged or left over, and was not repaired."""
    findings: list[Document] = []
    verdict: Document = {}
    line = _Line(quiet=parsed.flag("quiet"))
    steps = _without_daemon(parsed) if parsed.flag("offline") else _by_daemon(session, parsed)
    try:
        for message in steps:
            if object_of(message, "Finding"):
                findings.append(object_of(message, "Finding"))
            elif object_of(message, "Verdict"):
                verdict = object_of(message, "Verdict")
            else:
                line.draw(object_of(message, "Progress"))
    finally:
        line.wipe()
        steps.close()
    if not verdict:
        raise Exit(1, "the daemon broke the check off; its log says why")
    if not parsed.flag("quiet"):
        _print(session, findings, verdict)
    return 1 if number_of(verdict, "Findings") > number_of(verdict, "Repaired") else 0


def _by_daemon(session: Session, parsed: Parsed) -> Generator[Document, None, None]:
    for name in ("data-root", "config-file"):
        if parsed.given(name):
            raise Exit(1, f"--{name} is for --offline: a daemon has its own")
    answer = session.engine.stream("POST", "/sampan/check", {"repair": "1" if parsed.flag("repair") else None})
    try:
        yield from messages(answer.pieces())
    finally:
        answer.wire.close()


def _without_daemon(parsed: Parsed) -> Generator[Document, None, None]:
    import msgspec

    from sampan.daemon.offline import check
    from sampan.errors import SampanError

    arguments = [f"--{name}={parsed.text(name)}" for name in ("data-root", "config-file") if parsed.given(name)]
    try:
        for step in check(arguments, parsed.flag("repair")):
            yield object_of({"step": msgspec.to_builtins(step)}, "step")
    except SampanError as error:
        raise Exit(1, str(error)) from error


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
        Option("offline", "bool", "Look at the data root of a daemon that does not run"),
        Option("data-root", "string", "With --offline: the data root, where it is not daemon.json's"),
        Option("config-file", "string", "With --offline: the daemon.json that counts"),
        Option("quiet", "bool", "Print nothing; the exit code tells", "q"),
    ),
    examples=("system check", "system check --repair", "system check --offline --data-root /mnt/var/lib/sampan"),
)
