"""`mount` and `umount`: a place on this machine at which root sees a container's file system."""

from __future__ import annotations

from sampan.cli.failures import Exit
from sampan.cli.options import Command, Option
from sampan.cli.verbs.each import for_each
from sampan.client.documents import text_of
from sampan.client.engine import quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sampan.cli.options import Parsed
    from sampan.cli.session import Session


def _mount(session: Session, parsed: Parsed) -> int:
    if not parsed.words:
        for item in session.engine.fetch_list("/sampan/mounts"):
            session.say(f"{text_of(item, 'Id')[:12]}  {text_of(item, 'Path')}")
        return 0

    def act(name: str) -> str:
        answer = session.engine.fetch_document(f"/containers/{quoted(name)}/sampan/mount", method="POST")
        return text_of(answer, "Path")

    return for_each(session, parsed.words, act)


def _umount(session: Session, parsed: Parsed) -> int:
    names = list(parsed.words)
    if parsed.flag("all"):
        names = [text_of(item, "Id") for item in session.engine.fetch_list("/sampan/mounts")]
    elif not names:
        raise Exit(1, "name a container, or give --all")

    def act(name: str) -> str:
        session.engine.order("DELETE", f"/containers/{quoted(name)}/sampan/mount")
        return name

    return for_each(session, names, act)


MOUNT = Command(
    "[CONTAINER...]",
    "Print a place at which root sees a container's file system; read-only for one that does not run",
    _mount,
    (),
    words=(0, None),
    completes="container",
    examples=("mount web", "mount"),
)
UMOUNT = Command(
    "[OPTIONS] [CONTAINER...]",
    "Take back what `mount` made; a container's start does so, too",
    _umount,
    (Option("all", "bool", "All of them", "a"),),
    words=(0, None),
    completes="container",
    examples=("umount web", "umount -a"),
)
