"""`push`: an image, or all tags of a repository, to a registry."""

from __future__ import annotations

from sampan.cli.options import Command, Option
from sampan.cli.pull import show
from sampan.cli.verbs.pull import TRUST, wanted
from sampan.client.engine import quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sampan.cli.options import Parsed
    from sampan.cli.session import Session
    from sampan.client.documents import Document

NOBODY = ("X-Registry-Auth", "e30=")  # {}: the daemon of old insists on the header


def _push(session: Session, parsed: Parsed) -> int:
    reference = wanted(session, parsed)
    push(session, reference.familiar_name, reference.tag, parsed.flag("quiet"), _platform(parsed.text("platform")))
    if parsed.flag("quiet"):
        session.say(str(reference))
    return 0


def push(session: Session, name: str, tag: str | None, quiet: bool, platform: str | None = None) -> None:
    """Push a tag of the repository `name`, or all of them, with its login. Exit or RefusedByDaemon when it fails."""
    from sampan.cli.credentials.header import headers_for

    headers = headers_for(session.config, name) or [NOBODY]
    query = {"tag": tag, "platform": platform}
    show(session.engine.stream("POST", f"/images/{quoted(name, '/:@')}/push", query, headers), quiet, 1)


def _platform(text: str) -> str | None:
    """As the API takes it here: JSON."""
    if not text:
        return None
    from sampan.client import documents

    os, _, rest = text.lower().partition("/")
    architecture, _, variant = rest.partition("/")
    members: Document = {"os": os, "architecture": architecture}
    if variant:
        members["variant"] = variant
    return documents.write(members)


PUSH = Command(
    "[OPTIONS] NAME[:TAG]",
    "Send an image to a registry",
    _push,
    (
        Option("all-tags", "bool", "All tags of the repository", "a"),
        TRUST,
        Option("platform", "string", "Push only where the image is of that platform: os/architecture[/variant]"),
        Option("quiet", "bool", "Show the name only", "q"),
    ),
    words=(1, 1),
    completes="image",
    examples=("push registry.example:5000/team/app:1", "push -a registry.example:5000/team/app"),
)
