"""`top`: the processes of a container."""

from __future__ import annotations

from sampan.cli.options import Command
from sampan.cli.output.columns import align
from sampan.client.documents import list_of, texts_of
from sampan.client.engine import quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sampan.cli.options import Parsed
    from sampan.cli.session import Session

_LEAST = 20


def _top(session: Session, parsed: Parsed) -> int:
    name, *arguments = parsed.words
    query = {"ps_args": " ".join(arguments) or None}
    found = session.engine.fetch_document(f"/containers/{quoted(name)}/top", query)
    rows = [texts_of(found, "Titles")]
    rows += [[str(cell) for cell in row] for row in list_of(found, "Processes") if isinstance(row, list)]
    session.say("\n".join(align(rows, _LEAST)))
    return 0


TOP = Command(
    "CONTAINER [ps OPTIONS]",
    "Show the processes of a container",
    _top,
    words=(1, None),
    completes="running",
    interspersed=False,
    examples=("top web", "top web aux", "top web -o pid,user,rss,args"),
)
