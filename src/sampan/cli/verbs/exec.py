"""`exec`: another program in a running container."""

from __future__ import annotations

from sampan.cli.attach.session import UPGRADE, Streams, carry, checked_keys
from sampan.cli.failures import Exit
from sampan.cli.options import Command, Option
from sampan.client.documents import number_of, text_of
from sampan.client.engine import quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sampan.cli.options import Parsed
    from sampan.cli.session import Session
    from sampan.client.documents import Document, Json


def _exec(session: Session, parsed: Parsed) -> int:
    engine = session.engine
    detached = parsed.flag("detach")
    streams = Streams(
        parsed.flag("interactive") and not detached, not detached, not detached, parsed.flag("tty"),
        session.detach_keys(parsed.text("detach-keys")),
    )  # fmt: skip
    if not detached:
        streams.check_terminal()
        checked_keys(streams.detach_keys)
    body = _body(session, parsed, streams)
    container = quoted(parsed.words[0])
    identifier = text_of(engine.fetch_document(f"/containers/{container}/exec", method="POST", body=body), "Id")
    if not identifier:
        raise Exit(1, "exec ID empty")
    start: Document = {"Detach": detached, "Tty": streams.tty}
    if body.get("ConsoleSize"):
        start["ConsoleSize"] = body["ConsoleSize"]
    if detached:
        engine.order("POST", f"/exec/{identifier}/start", body=start)
        return 0
    attached = engine.stream("POST", f"/exec/{identifier}/start", headers=UPGRADE, body=start)
    try:
        ended = carry(engine, attached.wire, streams, f"/exec/{identifier}")
    finally:
        attached.wire.close()
    if not ended:
        return 0
    return number_of(engine.fetch_document(f"/exec/{identifier}/json"), "ExitCode")


def _body(session: Session, parsed: Parsed, streams: Streams) -> Document:
    body: Document = {
        "User": parsed.text("user"),
        "Privileged": parsed.flag("privileged"),
        "Tty": streams.tty,
        "AttachStdin": streams.stdin,
        "AttachStdout": streams.stdout,
        "AttachStderr": streams.stderr,
        "DetachKeys": streams.detach_keys,
        "Env": _variables(session, parsed),
        "WorkingDir": parsed.text("workdir"),
        "Cmd": [*parsed.words[1:]],
    }
    if streams.tty:
        from sampan.cli.attach.terminal import window_size

        rows, columns = window_size(1)
        if rows and columns:
            body["ConsoleSize"] = [rows, columns]
    return body


def _variables(session: Session, parsed: Parsed) -> list[Json] | None:
    given, files = parsed.many("env"), parsed.many("env-file")
    if not given and not files:
        return None
    from sampan.cli.create.environment import BadFile, variables

    try:
        return [*variables(files, given, session.given.environ)]
    except BadFile as error:
        raise Exit(1, str(error)) from error


EXEC = Command(
    "[OPTIONS] CONTAINER COMMAND [ARG...]",
    "Run a program in a running container",
    _exec,
    (
        Option("detach", "bool", "Run it in the background", "d"),
        Option("detach-keys", "string", "Keys that leave the program running (default ctrl-p,ctrl-q)"),
        Option(
            "env", "list", "Set an environment variable (KEY=VALUE; KEY alone takes this shell's value)", "e",
            check="assignment",
        ),
        Option("env-file", "list", "Read environment variables from a file", completes="file"),
        Option("interactive", "bool", "Keep stdin open", "i"),
        Option("privileged", "bool", "All capabilities"),
        Option("tty", "bool", "Give the program a terminal", "t"),
        Option("user", "string", "User (NAME|UID[:GROUP|GID])", "u"),
        Option("workdir", "string", "Working directory", "w"),
    ),
    words=(2, None),
    interspersed=False,
    completes="running",
    examples=("exec -it web sh", "exec -u root -w /srv web ls -l", "exec -i db psql < dump.sql"),
)  # fmt: skip
