"""`logs`: what a container has written."""

from __future__ import annotations

import os
import sys

from sampan.cli.failures import PROGRAM, UsageError
from sampan.cli.options import Command, Option
from sampan.cli.verbs.each import for_each
from sampan.client.documents import flag_of, object_of, text_of
from sampan.client.engine import quoted
from sampan.client.failures import BrokenConversation
from sampan.client.streams import STDERR, Demultiplexer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sampan.cli.options import Parsed
    from sampan.cli.session import Session
    from sampan.client.http import Response


def _logs(session: Session, parsed: Parsed) -> int:
    clearing = parsed.flag("clear")
    if not parsed.words or (len(parsed.words) > 1 and not clearing):
        wrong = f"'{PROGRAM} {parsed.path}' requires {'at least ' if clearing else ''}1 argument"
        raise UsageError(f"{PROGRAM}: {wrong}", parsed.path, parsed.command.usage, code=1, see="Run")
    if clearing:
        return _clear(session, parsed.words)
    from sampan.cli.verbs.moments import moment

    container = session.engine.fetch_document(f"/containers/{quoted(parsed.words[0])}/json")
    query = {
        "follow": "1" if parsed.flag("follow") else None,
        "stdout": "1",
        "stderr": "1",
        "since": moment(parsed.text("since"), "since"),
        "until": moment(parsed.text("until"), "until"),
        "timestamps": "1" if parsed.flag("timestamps") else None,
        "details": "1" if parsed.flag("details") else None,
        "tail": parsed.text("tail") or None,
    }
    answer = session.engine.stream("GET", f"/containers/{quoted(text_of(container, 'Id'))}/logs", query)
    try:
        copy_log(answer, flag_of(object_of(container, "Config"), "Tty"))
    finally:
        answer.wire.close()
    return 0


def _clear(session: Session, names: list[str]) -> int:
    def act(name: str) -> str:
        session.engine.order("DELETE", f"/containers/{quoted(name)}/sampan/logs")
        return name

    return for_each(session, names, act)


def copy_log(answer: Response, tty: bool) -> None:
    """Write the streams of a log to stdout and stderr. BrokenConversation when it ends within a frame."""
    sys.stdout.flush()
    frames = Demultiplexer()
    for data in answer.pieces():
        if tty:
            _write(1, data)
            continue
        for stream, piece in frames.feed(data):
            _write(2 if stream == STDERR else 1, piece)
    if frames.inside_frame:
        raise BrokenConversation("unexpected EOF")


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


LOGS = Command(
    "[OPTIONS] CONTAINER",
    "Show what a container has written, or have it forgotten",
    _logs,
    (
        Option("clear", "bool", "Forget what the containers have written, also while they write and are followed"),
        Option("details", "bool", "Show what the log driver knows besides"),
        Option("follow", "bool", "Go on until the container ends", "f"),
        Option("since", "string", "From this moment on (2013-01-02T13:23:37Z) or as long ago (42m)"),
        Option("tail", "string", "Number of lines from the end", "n", default="all"),
        Option("timestamps", "bool", "Show when each line was written", "t"),
        Option("until", "string", "Up to this moment (2013-01-02T13:23:37Z) or as long ago (42m)"),
    ),
    words=(0, None),
    completes="container",
    examples=("logs web", "logs -f --tail 20 web", "logs --since 5m -t web", "logs --clear web db"),
)
