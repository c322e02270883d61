"""`stop`, `restart`, `kill`, `pause`, `unpause`, `wait`, `rename`: what happens to a container after its start."""

from __future__ import annotations

from sampan.cli.failures import Exit
from sampan.cli.options import Command, Option
from sampan.cli.verbs.each import for_each
from sampan.client.documents import number_of
from sampan.client.engine import quoted
from sampan.client.failures import RefusedByDaemon

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sampan.cli.options import Parsed
    from sampan.cli.session import Session


def _stop_or_restart(session: Session, parsed: Parsed, verb: str) -> int:
    query = {
        "t": str(parsed.number("timeout")) if parsed.given("timeout") else None,
        "signal": parsed.text("signal") or None,
    }

    def act(name: str) -> str:
        session.engine.order("POST", f"/containers/{quoted(name)}/{verb}", query)
        return name

    return for_each(session, parsed.words, act)


def _stop(session: Session, parsed: Parsed) -> int:
    return _stop_or_restart(session, parsed, "stop")


def _restart(session: Session, parsed: Parsed) -> int:
    return _stop_or_restart(session, parsed, "restart")


def _kill(session: Session, parsed: Parsed) -> int:
    def act(name: str) -> str:
        query = {"signal": parsed.text("signal") or None}
        session.engine.order("POST", f"/containers/{quoted(name)}/kill", query)
        return name

    return for_each(session, parsed.words, act)


def _each(session: Session, parsed: Parsed, verb: str) -> int:
    def act(name: str) -> str:
        session.engine.order("POST", f"/containers/{quoted(name)}/{verb}")
        return name

    return for_each(session, parsed.words, act)


def _pause(session: Session, parsed: Parsed) -> int:
    return _each(session, parsed, "pause")


def _unpause(session: Session, parsed: Parsed) -> int:
    return _each(session, parsed, "unpause")


def _wait(session: Session, parsed: Parsed) -> int:
    def act(name: str) -> str:
        answer = session.engine.fetch_document(f"/containers/{quoted(name)}/wait", method="POST")
        return str(number_of(answer, "StatusCode"))

    return for_each(session, parsed.words, act)


def _rename(session: Session, parsed: Parsed) -> int:
    old, new = (word.strip() for word in parsed.words)
    if not old or not new:
        raise Exit(1, "Error: Neither old nor new names may be empty")
    try:
        session.engine.order("POST", f"/containers/{quoted(old)}/rename", {"name": new})
    except RefusedByDaemon as refusal:
        raise Exit(1, f"{refusal}\nError: failed to rename container named {old}") from refusal
    return 0


_STOP_OPTIONS = (
    Option("signal", "string", "Signal to send", "s"),
    Option("timeout", "int", "Seconds to wait before SIGKILL; -1 waits for ever", "t", also="time"),
)
_NAMES = "[OPTIONS] CONTAINER [CONTAINER...]"

STOP = Command(
    _NAMES,
    "Ask running containers to end, and kill them when they do not",
    _stop,
    _STOP_OPTIONS,
    words=(1, None),
    completes="running",
    examples=("stop web", "stop -t 30 db cache"),
)
RESTART = Command(
    _NAMES, "Stop and start containers", _restart, _STOP_OPTIONS, words=(1, None), completes="container",
    examples=("restart web",),
)  # fmt: skip
KILL = Command(
    _NAMES,
    "Send a signal to running containers",
    _kill,
    (Option("signal", "string", "Signal to send; SIGKILL when none is named", "s"),),
    words=(1, None),
    completes="running",
    examples=("kill web", "kill -s HUP web"),
)
PAUSE = Command(
    "CONTAINER [CONTAINER...]", "Let all processes of containers stand still", _pause, words=(1, None), completes="running",
    examples=("pause db",),
)  # fmt: skip
UNPAUSE = Command(
    "CONTAINER [CONTAINER...]", "Let paused containers go on", _unpause, words=(1, None), completes="paused",
    examples=("unpause db",),
)  # fmt: skip
WAIT = Command(
    "CONTAINER [CONTAINER...]", "Wait until containers end and print their exit codes", _wait, words=(1, None),
    completes="container", examples=("wait build",),
)  # fmt: skip
RENAME = Command(
    "CONTAINER NEW_NAME", "Give a container another name", _rename, words=(2, 2), completes="container",
    examples=("rename agitated_wing web",),
)  # fmt: skip
