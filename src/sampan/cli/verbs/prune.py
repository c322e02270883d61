"""`container prune`, `image prune`, `network prune`, `volume prune`: what nothing uses goes."""

from __future__ import annotations

import sys

from sampan.cli.options import Command, Option
from sampan.cli.output.units import decimal_size
from sampan.cli.verbs.filters import encode_filters
from sampan.cli.verbs.prune_plan import OPTIONS, filters_of, planned
from sampan.client.documents import number_of, objects_of, text_of, texts_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sampan.cli.options import Parsed
    from sampan.cli.session import Session
    from sampan.client.documents import Document


def confirmed(parsed: Parsed, warning: str) -> bool:
    """Whether the user wants it, asked unless --force was given."""
    if parsed.flag("force"):
        return True
    sys.stdout.write(f"WARNING! {warning}\nAre you sure you want to continue? [y/N] ")
    sys.stdout.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _prune(session: Session, path: str, filters: list[str]) -> Document:
    return session.engine.fetch_document(path, {"filters": encode_filters(filters)}, method="POST")


def report(session: Session, heading: str, lines: list[str], reclaimed: int) -> int:
    """Say what went; the exit code."""
    if lines:
        session.say("\n".join([heading, *lines, ""]))
    session.say(f"Total reclaimed space: {decimal_size(reclaimed)}")
    return 0


def _containers(session: Session, parsed: Parsed) -> int:
    if planned(session, parsed, {"Containers": filters_of(parsed.many("filter"))}):
        return 0
    if not confirmed(parsed, "This will remove all stopped containers."):
        return 0
    answer = _prune(session, "/containers/prune", parsed.many("filter"))
    lines = texts_of(answer, "ContainersDeleted")
    return report(session, "Deleted Containers:", lines, number_of(answer, "SpaceReclaimed"))


def _images(session: Session, parsed: Parsed) -> int:
    every = parsed.flag("all")
    filters = [f"dangling={'false' if every else 'true'}", *parsed.many("filter")]
    if planned(session, parsed, {"Images": filters_of(filters)}):
        return 0
    kind = "images without at least one container associated to them" if every else "dangling images"
    if not confirmed(parsed, f"This will remove all {kind}."):
        return 0
    answer = _prune(session, "/images/prune", filters)
    return report(session, "Deleted Images:", image_lines(answer), number_of(answer, "SpaceReclaimed"))


def image_lines(answer: Document) -> list[str]:
    """What an image prune took, line by line."""
    lines = []
    for item in objects_of(answer, "ImagesDeleted"):
        untagged = text_of(item, "Untagged")
        lines.append(f"untagged: {untagged}" if untagged else f"deleted: {text_of(item, 'Deleted')}")
    return lines


def _volumes(session: Session, parsed: Parsed) -> int:
    every = parsed.flag("all")
    wanted = [*parsed.many("filter"), *(["all=true"] if every else [])]
    if planned(session, parsed, {"Volumes": filters_of(wanted)}):
        return 0
    knows_anonymous = session.engine.at_least("1.42")
    kind = "all local volumes" if every or not knows_anonymous else "anonymous local volumes"
    if not confirmed(parsed, f"This will remove {kind} not used by at least one container."):
        return 0
    filters = [*parsed.many("filter")]
    if every and knows_anonymous:
        filters.append("all=true")
    answer = _prune(session, "/volumes/prune", filters)
    return report(session, "Deleted Volumes:", texts_of(answer, "VolumesDeleted"), number_of(answer, "SpaceReclaimed"))


def _networks(session: Session, parsed: Parsed) -> int:
    if planned(session, parsed, {"Networks": filters_of(parsed.many("filter"))}):
        return 0
    if not confirmed(parsed, "This will remove all custom networks not used by at least one container."):
        return 0
    removed = texts_of(_prune(session, "/networks/prune", parsed.many("filter")), "NetworksDeleted")
    if removed:
        session.say("\n".join(["Deleted Networks:", *removed, ""]))
    return 0


_FILTER = Option("filter", "filter", "Only what fits (until=24h, label=…)")
_FORCE = Option("force", "bool", "Do not ask", "f")

PRUNE_CONTAINERS = Command(
    "[OPTIONS]", "Remove all stopped containers", _containers, (OPTIONS[0], _FILTER, _FORCE, OPTIONS[1]),
    examples=("container prune -f --filter until=24h", "container prune --plan"),
)  # fmt: skip
PRUNE_NETWORKS = Command(
    "[OPTIONS]", "Remove all networks in which no container stands", _networks, (OPTIONS[0], _FILTER, _FORCE, OPTIONS[1]),
    examples=("network prune -f", "network prune --plan"),
)  # fmt: skip
PRUNE_IMAGES = Command(
    "[OPTIONS]",
    "Remove images that nothing uses",
    _images,
    (
        Option("all", "bool", "Named images too, if no container uses them", "a"),
        OPTIONS[0],
        _FILTER,
        _FORCE,
        OPTIONS[1],
    ),
    examples=("image prune -f", "image prune -a --filter until=168h", "image prune -a --plan"),
)
PRUNE_VOLUMES = Command(
    "[OPTIONS]",
    "Remove volumes that no container uses",
    _volumes,
    (Option("all", "bool", "Named volumes too, not only anonymous ones", "a"), OPTIONS[0], _FILTER, _FORCE, OPTIONS[1]),
    examples=("volume prune -f", "volume prune -a --plan"),
)
