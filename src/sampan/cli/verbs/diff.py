"""`diff`: what a container changed in its file system."""

from __future__ import annotations

from sampan.cli.failures import Exit
from sampan.cli.options import Command
from sampan.client.documents import number_of, text_of
from sampan.client.engine import quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sampan.cli.options import Parsed
    from sampan.cli.session import Session

_LETTERS = "CAD"


def _diff(session: Session, parsed: Parsed) -> int:
    name = parsed.words[0]
    if not name:
        raise Exit(1, "Container name cannot be empty")
    for change in session.engine.fetch_list(f"/containers/{quoted(name)}/changes"):
        kind = number_of(change, "Kind")
        session.say(f"{_LETTERS[kind] if 0 <= kind < len(_LETTERS) else '?'} {text_of(change, 'Path')}")
    return 0


DIFF = Command(
    "CONTAINER",
    "List what a container changed in its file system: A added, C changed, D deleted",
    _diff,
    words=(1, 1),
    completes="container",
    examples=("diff web",),
)
