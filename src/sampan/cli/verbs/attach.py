"""`attach`: this terminal on a running container."""

from __future__ import annotations

from sampan.cli.attach.session import UPGRADE, Streams, carry, checked_keys, exit_status
from sampan.cli.failures import Exit
from sampan.cli.options import Command, Option
from sampan.cli.verbs.run import attach_query
from sampan.client.documents import flag_of, object_of, text_of
from sampan.client.engine import quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sampan.cli.options import Parsed
    from sampan.cli.session import Session
    from sampan.client.documents import Document


def _attach(session: Session, parsed: Parsed) -> int:
    engine = session.engine
    container = engine.fetch_document(f"/containers/{quoted(parsed.words[0])}/json")
    _check_state(object_of(container, "State"))
    config = object_of(container, "Config")
    stdin = flag_of(config, "OpenStdin") and not parsed.flag("no-stdin")
    streams = Streams(stdin, True, True, flag_of(config, "Tty"), session.detach_keys(parsed.text("detach-keys")))
    streams.check_terminal()
    checked_keys(streams.detach_keys)
    identifier = text_of(container, "Id")
    waiting = engine.begin("POST", f"/containers/{identifier}/wait")
    attaching = engine.begin("POST", f"/containers/{identifier}/attach", attach_query(streams), UPGRADE)
    waited, attached = waiting(), attaching()
    proxied = identifier if parsed.flag("sig-proxy") and not streams.tty else ""
    try:
        ended = carry(engine, attached.wire, streams, f"/containers/{identifier}", proxied)
    finally:
        attached.wire.close()
    return exit_status(waited) if ended else 0


def _check_state(state: Document) -> None:
    if not flag_of(state, "Running"):
        raise Exit(1, "You cannot attach to a stopped container, start it first")
    if flag_of(state, "Paused"):
        raise Exit(1, "You cannot attach to a paused container, unpause it first")
    if flag_of(state, "Restarting"):
        raise Exit(1, "You cannot attach to a restarting container, wait until it is running")


ATTACH = Command(
    "[OPTIONS] CONTAINER",
    "Connect this terminal to a running container",
    _attach,
    (
        Option("detach-keys", "string", "Keys that leave the container running (default ctrl-p,ctrl-q)"),
        Option("no-stdin", "bool", "Do not send what is typed"),
        Option("sig-proxy", "bool", "Send the signals that this command gets to the program", default=True),
    ),
    words=(1, 1),
    completes="running",
    examples=("attach web", "attach --detach-keys ctrl-x shell"),
)
