"""`start`: stopped containers run again, one of them perhaps attached."""

from __future__ import annotations

from sampan.cli.attach.session import UPGRADE, Streams, carry, checked_keys, exit_status
from sampan.cli.failures import Exit
from sampan.cli.options import Command, Option
from sampan.cli.verbs.run import attach_query, begin_wait
from sampan.client.documents import flag_of, object_of, text_of
from sampan.client.engine import quoted
from sampan.client.failures import RefusedByDaemon

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sampan.cli.options import Parsed
    from sampan.cli.session import Session


def _start(session: Session, parsed: Parsed) -> int:
    if parsed.flag("attach") or parsed.flag("interactive"):
        return _start_attached(session, parsed)
    query = _checkpoint(parsed)
    if query and len(parsed.words) > 1:
        raise Exit(1, "you cannot restore multiple containers at once")
    failed: list[str] = []
    for name in parsed.words:
        try:
            session.engine.order("POST", f"/containers/{quoted(name)}/start", query)
        except RefusedByDaemon as refusal:
            session.warn(str(refusal))
            failed.append(name)
        else:
            session.say(name)
    if failed:
        raise Exit(1, f"Error: failed to start containers: {', '.join(failed)}")
    return 0


def _start_attached(session: Session, parsed: Parsed) -> int:
    if len(parsed.words) > 1:
        raise Exit(1, "you cannot start and attach multiple containers at once")
    engine = session.engine
    container = engine.fetch_document(f"/containers/{quoted(parsed.words[0])}/json")
    config = object_of(container, "Config")
    stdin = parsed.flag("interactive") and flag_of(config, "OpenStdin")
    streams = Streams(stdin, True, True, flag_of(config, "Tty"), session.detach_keys(parsed.text("detach-keys")))
    checked_keys(streams.detach_keys)
    identifier = text_of(container, "Id")
    removed = flag_of(object_of(container, "HostConfig"), "AutoRemove")
    attaching = engine.begin("POST", f"/containers/{identifier}/attach", attach_query(streams), UPGRADE)
    attached = attaching()
    waiting = begin_wait(engine, identifier, removed)
    waited = waiting() if waiting is not None else None
    try:
        engine.order("POST", f"/containers/{identifier}/start", _checkpoint(parsed))
        proxied = "" if streams.tty else identifier
        ended = carry(engine, attached.wire, streams, f"/containers/{identifier}", proxied)
    finally:
        attached.wire.close()
    if not ended:
        return 0
    return exit_status(waited if waited is not None else engine.stream("POST", f"/containers/{identifier}/wait"))


def _checkpoint(parsed: Parsed) -> dict[str, str]:
    found = {name: parsed.text(name) for name in ("checkpoint", "checkpoint-dir")}
    return {name: value for name, value in found.items() if value}


START = Command(
    "[OPTIONS] CONTAINER [CONTAINER...]",
    "Start stopped containers",
    _start,
    (
        Option("attach", "bool", "Show what it writes and send it this command's signals", "a"),
        Option("checkpoint", "string", "Start from this checkpoint"),
        Option("checkpoint-dir", "string", "Where checkpoints are (the daemon refuses one, as Docker's does)"),
        Option("detach-keys", "string", "Keys that leave the container running (default ctrl-p,ctrl-q)"),
        Option("interactive", "bool", "Send it this command's stdin", "i"),
    ),
    words=(1, None),
    completes="stopped",
    examples=("start db", "start -ai shell"),
)
