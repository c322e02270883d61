"""The same request for several names: what worked is printed as it goes, what failed at the end, as Docker does."""

from __future__ import annotations

from sampan.cli.failures import Exit
from sampan.client.failures import RefusedByDaemon

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sampan.cli.session import Session


def for_each(session: Session, names: Iterable[str], action: Callable[[str], str]) -> int:
    """Carry out `action` for each name and print what it returns ("" prints nothing). Exit 1 with all refusals."""
    failures: list[str] = []
    for name in names:
        try:
            line = action(name)
        except RefusedByDaemon as refusal:
            failures.append(str(refusal))
            continue
        if line:
            session.say(line)
    if failures:
        raise Exit(1, "\n".join(failures))
    return 0
