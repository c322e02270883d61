"""`run`: create, attach, wait, start, carry the streams, and end as the program did.

The order matters: attach comes before start so that no output is missed, and wait before start so that no exit is.
"""

from __future__ import annotations

from sampan.cli.attach.session import UPGRADE, Streams, carry, checked_keys, exit_status
from sampan.cli.failures import Exit, start_failure_code, with_help
from sampan.cli.options import Command, Option
from sampan.cli.verbs.container_options import CONTAINER_OPTIONS
from sampan.cli.verbs.create import container_body, create_container
from sampan.client.documents import flag_of, object_of
from sampan.client.failures import RefusedByDaemon

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sampan.cli.options import Parsed
    from sampan.cli.session import Session
    from sampan.client.documents import Document
    from sampan.client.engine import Engine, Pending
    from sampan.client.http import Response


def _run(session: Session, parsed: Parsed) -> int:
    body = container_body(session, parsed)
    detached = parsed.flag("detach")
    if detached:
        if parsed.many("attach"):
            raise Exit(1, "conflicting options: cannot specify both --attach and --detach")
        body.update({"AttachStdin": False, "AttachStdout": False, "AttachStderr": False, "StdinOnce": False})
    streams = Streams(
        flag_of(body, "AttachStdin"), flag_of(body, "AttachStdout"), flag_of(body, "AttachStderr"), flag_of(body, "Tty"),
        session.detach_keys(parsed.text("detach-keys")),
    )  # fmt: skip
    if not detached:
        streams.check_terminal()
        checked_keys(streams.detach_keys)
    _add_console_size(body, streams)
    removes = parsed.flag("rm")
    explains = parsed.flag("explain") and removes and not detached
    if explains:
        object_of(body, "HostConfig")["AutoRemove"] = False
    identifier = create_container(session, parsed, body)
    if not (streams.stdin or streams.stdout or streams.stderr):
        _start(session, parsed, identifier)
        session.say(identifier)
        _show_steps(session, _steps(session, identifier) if parsed.flag("explain") else None)
        return 0
    if not explains:
        return _attached(session, parsed, identifier, streams, removes) or 0
    return _explained(session, parsed, identifier, streams)


def _explained(session: Session, parsed: Parsed, identifier: str, streams: Streams) -> int:
    """`--rm --explain`: removed from here, because the engine's own removal would take the steps along."""
    code: int | None = 1
    try:
        code = _attached(session, parsed, identifier, streams, removes=False)
    finally:
        if code is not None:
            session.engine.order("DELETE", f"/containers/{identifier}", {"force": "1", "v": "1"})
    if code is None:
        session.warn(
            f"{identifier[:12]} goes on and stays when it ends: --explain with --rm removes at the end of this command"
        )
    return code or 0


def _attached(session: Session, parsed: Parsed, identifier: str, streams: Streams, removes: bool) -> int | None:
    """The program's exit code; None when the detach keys were typed."""
    engine = session.engine
    # both requests are under way before either answer is read
    attaching = engine.begin("POST", f"/containers/{identifier}/attach", attach_query(streams), UPGRADE)
    waiting = begin_wait(engine, identifier, removed=removes)
    attached = _answer(attaching, parsed)
    waited = _answer(waiting, parsed) if waiting is not None else None
    try:
        _start(session, parsed, identifier)
    except Exit:
        attached.wire.close()
        if waited is not None and removes:
            waited.read()  # the removal that --rm promises has happened when this command ends
        raise
    steps = _steps(session, identifier) if parsed.flag("explain") else None
    proxied = identifier if parsed.flag("sig-proxy") else ""
    until = waited.wire.fileno() if waited is not None and not streams.stdout and not streams.stderr else -1
    try:
        ended = carry(engine, attached.wire, streams, f"/containers/{identifier}", proxied, until)
    finally:
        attached.wire.close()
    if not ended:
        return None
    code = exit_status(waited if waited is not None else _old_wait(engine, identifier))
    _show_steps(session, steps)
    return code


def _answer(pending: Pending, parsed: Parsed) -> Response:
    try:
        return pending()
    except RefusedByDaemon as refusal:
        raise Exit(125, with_help(str(refusal), parsed.path.split()[-1])) from refusal


def attach_query(streams: Streams) -> dict[str, str | None]:
    """The parameters of an attach request for these streams."""
    return {
        "stream": "1",
        "stdin": "1" if streams.stdin else None,
        "stdout": "1" if streams.stdout else None,
        "stderr": "1" if streams.stderr else None,
        "detachKeys": streams.detach_keys or None,
    }


def begin_wait(engine: Engine, identifier: str, removed: bool) -> Pending | None:
    """Ask for the next exit, or for the removal after it. Daemons before API 1.30 know no conditions: None."""
    if not engine.at_least("1.30"):
        return None
    condition = "removed" if removed else "next-exit"
    return engine.begin("POST", f"/containers/{identifier}/wait", {"condition": condition})


def _old_wait(engine: Engine, identifier: str) -> Response:
    return engine.stream("POST", f"/containers/{identifier}/wait")


def _start(session: Session, parsed: Parsed, identifier: str) -> None:
    try:
        query = {"explain": "1"} if parsed.flag("explain") else None  # a daemon keeps no steps that nobody asked for
        session.engine.order("POST", f"/containers/{identifier}/start", query)
    except RefusedByDaemon as refusal:
        raise Exit(start_failure_code(refusal), with_help(str(refusal), parsed.path.split()[-1])) from refusal


def _add_console_size(body: Document, streams: Streams) -> None:
    if not streams.tty:
        return
    from sampan.cli.attach.terminal import window_size

    rows, columns = window_size(1)
    host = body["HostConfig"]
    if rows and columns and isinstance(host, dict):
        host["ConsoleSize"] = [rows, columns]


def _steps(session: Session, identifier: str) -> list[Document]:
    from sampan.cli.verbs.explain import fetch_steps

    return fetch_steps(session, identifier)


def _show_steps(session: Session, steps: list[Document] | None) -> None:
    if steps is not None:
        from sampan.cli.verbs.explain import draw_steps

        draw_steps(session, steps)


RUN_OPTIONS = (
    *CONTAINER_OPTIONS,
    Option("detach", "bool", "Run in the background and print the container's id", "d"),
    Option("detach-keys", "string", "Keys that leave the container running (default ctrl-p,ctrl-q)"),
    Option("explain", "bool", "Print the steps that the start took: principle, operands, time, source (Sampan only)"),
    Option("sig-proxy", "bool", "Send the signals that this command gets to the program", default=True),
)

RUN = Command(
    "[OPTIONS] IMAGE [COMMAND] [ARG...]",
    "Create a container from an image and run a program in it",
    _run,
    RUN_OPTIONS,
    words=(1, None),
    interspersed=False,
    completes="image",
    examples=(
        "run --rm -it host bash                          a disposable copy of this machine",
        "run -d --name web -p 127.0.0.1:8080:80 web      a service in the background",
        "run --rm -v .:/src -w /src -m 512m tools make   a build with this directory and a memory limit",
        "run --rm --explain host true                    what a container is made of, step by step",
    ),
)
