"""`rm`, `rmi`, `tag`: taking containers and images away, and naming images."""

from __future__ import annotations

from sampan.cli.failures import Exit
from sampan.cli.options import Command, Option
from sampan.cli.pull import split_reference
from sampan.cli.verbs.each import for_each
from sampan.client.documents import text_of
from sampan.client.engine import quoted
from sampan.client.failures import RefusedByDaemon

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sampan.cli.options import Parsed
    from sampan.cli.session import Session


def _remove(session: Session, parsed: Parsed) -> int:
    query = {
        "v": "1" if parsed.flag("volumes") else None,
        "link": "1" if parsed.flag("link") else None,
        "force": "1" if parsed.flag("force") else None,
    }

    def act(name: str) -> str:
        trimmed = name.strip("/")
        if not trimmed:
            raise Exit(1, "container name cannot be empty")
        try:
            session.engine.order("DELETE", f"/containers/{quoted(trimmed)}", query)
        except RefusedByDaemon as refusal:
            if parsed.flag("force") and refusal.status == 404:
                session.warn(str(refusal))
                return ""
            raise
        return name

    return for_each(session, parsed.words, act)


def _remove_image(session: Session, parsed: Parsed) -> int:
    query = {
        "force": "1" if parsed.flag("force") else None,
        "noprune": "1" if parsed.flag("no-prune") else None,
    }

    def act(name: str) -> str:
        value = session.engine.fetch(f"/images/{quoted(name, '/:@')}", query, method="DELETE")
        lines = []
        for item in value if isinstance(value, list) else []:
            if isinstance(item, dict):
                deleted = text_of(item, "Deleted")
                lines.append(f"Deleted: {deleted}" if deleted else f"Untagged: {text_of(item, 'Untagged')}")
        return "\n".join(lines)

    try:
        return for_each(session, parsed.words, act)
    except Exit as end:
        if parsed.flag("force") and all("No such image" in line for line in end.text.split("\n")):
            session.warn(end.text)
            return 0
        raise


def _tag(session: Session, parsed: Parsed) -> int:
    source, target = parsed.words
    name, tag = split_reference(target)
    session.engine.order("POST", f"/images/{quoted(source, '/:@')}/tag", {"repo": name, "tag": tag})
    return 0


RM = Command(
    "[OPTIONS] CONTAINER [CONTAINER...]",
    "Remove containers",
    _remove,
    (
        Option("force", "bool", "Kill what runs, and do not mind what is missing", "f"),
        Option("link", "bool", "Remove the link, not the container", "l"),
        Option("volumes", "bool", "Remove their anonymous volumes too", "v"),
    ),
    words=(1, None),
    completes="container",
    examples=("rm build", "rm -fv web"),
)
RMI = Command(
    "[OPTIONS] IMAGE [IMAGE...]",
    "Remove images",
    _remove_image,
    (
        Option("force", "bool", "Remove it even if a stopped container uses it", "f"),
        Option("no-prune", "bool", "Keep untagged parents"),
        Option("platform", "strings", "Remove only this platform's variant", refused="images have one platform here"),
    ),
    words=(1, None),
    completes="image",
    examples=("rmi old:1", "rmi -f 3f2a9c"),
)
TAG = Command(
    "SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]", "Give an image another name", _tag, words=(2, 2), completes="image",
    examples=("tag build registry.example:5000/team/build:1.2",),
)  # fmt: skip
