"""`checkpoint create`, `checkpoint ls`, `checkpoint rm`."""

from __future__ import annotations

from sampan.cli.options import Command, Option
from sampan.cli.output.listing import Headings, print_rows
from sampan.client.documents import text_of
from sampan.client.engine import quoted
from sampan.templates.values import Row

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sampan.cli.options import Parsed
    from sampan.cli.session import Session
    from sampan.client.documents import Json

HEADINGS = Headings({"Name": "CHECKPOINT NAME"})
_DIRECTORY = Option("checkpoint-dir", "string", "Another directory on the daemon's machine")


def _create(session: Session, parsed: Parsed) -> int:
    container, name = parsed.words
    body: Json = {
        "CheckpointID": name,
        "CheckpointDir": parsed.text("checkpoint-dir"),
        "Exit": not parsed.flag("leave-running"),
    }
    session.engine.order("POST", f"/containers/{quoted(container)}/checkpoints", body=body)
    session.say(name)
    return 0


def _list(session: Session, parsed: Parsed) -> int:
    found = session.engine.fetch_list(f"/containers/{quoted(parsed.words[0])}/checkpoints", _where(parsed))
    print_rows(session, "", ("Name",), HEADINGS, [_row(text_of(item, "Name")) for item in found])
    return 0


def _row(name: str) -> Row:
    return Row("*checkpoint.checkpointContext", {"Name": lambda: name}, {})


def _remove(session: Session, parsed: Parsed) -> int:
    container, name = parsed.words
    session.engine.order("DELETE", f"/containers/{quoted(container)}/checkpoints/{quoted(name)}", _where(parsed))
    return 0


def _where(parsed: Parsed) -> dict[str, str]:
    chosen = parsed.text("checkpoint-dir")
    return {"dir": chosen} if chosen else {}


CREATE = Command(
    "[OPTIONS] CONTAINER CHECKPOINT",
    "Write down the state of a running container, which ends with it",
    _create,
    (Option("leave-running", "bool", "Let the container go on afterwards"), _DIRECTORY),
    words=(2, 2),
    completes="running",
    examples=("checkpoint create web before-lunch", "checkpoint create --leave-running web noon"),
)
LIST = Command(
    "[OPTIONS] CONTAINER",
    "List checkpoints of a container",
    _list,
    (_DIRECTORY,),
    words=(1, 1),
    completes="container",
    examples=("checkpoint ls web",),
)
REMOVE = Command(
    "[OPTIONS] CONTAINER CHECKPOINT",
    "Remove a checkpoint",
    _remove,
    (_DIRECTORY,),
    words=(2, 2),
    completes="container",
    examples=("checkpoint rm web noon",),
)
