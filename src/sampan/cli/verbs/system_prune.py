"""`system prune`: what nothing uses goes, of every kind."""

from __future__ import annotations

from sampan.cli.failures import Exit
from sampan.cli.options import Command, Option
from sampan.cli.output.units import decimal_size
from sampan.cli.verbs.filters import encode_filters
from sampan.cli.verbs.prune import confirmed, image_lines
from sampan.cli.verbs.prune_plan import OPTIONS, filters_of, planned
from sampan.client.documents import number_of, texts_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from sampan.cli.options import Parsed
    from sampan.cli.session import Session
    from sampan.client.documents import Document


def _prune(session: Session, parsed: Parsed) -> int:
    every, volumes, given = parsed.flag("all"), parsed.flag("volumes"), parsed.many("filter")
    if volumes and any(text.startswith("until=") for text in given):
        raise Exit(1, 'ERROR: The "until" filter is not supported with "--volumes"')
    dangling = f"dangling={'false' if every else 'true'}"
    plain = filters_of(given)
    request: Document = {
        "Containers": plain,
        "Networks": plain,
        "Images": filters_of([dangling, *given]),
        "BuildCache": {"All": every, "Filters": filters_of(_for_cache(given))},
        **({"Volumes": plain} if volumes else {}),
    }
    if planned(session, parsed, request):
        return 0
    if not confirmed(parsed, _warning(every, volumes)):
        return 0

    def order(path: str, filters: list[str], **query: str | None) -> Document:
        return session.engine.fetch_document(path, {"filters": encode_filters(filters), **query}, method="POST")

    freed = 0
    rounds: list[tuple[str, Callable[[Document], list[str]], Callable[[], Document]]] = [
        ("Deleted Containers:", _texts("ContainersDeleted"), lambda: order("/containers/prune", given)),
        ("Deleted Networks:", _texts("NetworksDeleted"), lambda: order("/networks/prune", given)),
        ("Deleted Volumes:", _texts("VolumesDeleted"), lambda: order("/volumes/prune", given)),
        ("Deleted Images:", image_lines, lambda: order("/images/prune", [dangling, *given])),
        (
            "Deleted build cache objects:",
            _texts("CachesDeleted"),
            lambda: order("/build/prune", _for_cache(given), all="1" if every else None),
        ),
    ]
    for heading, lines_of, act in rounds:
        if heading == "Deleted Volumes:" and not volumes:
            continue
        answer = act()
        if lines := lines_of(answer):
            session.say("\n".join([heading, *lines, ""]))
        freed += number_of(answer, "SpaceReclaimed")
    session.say(f"Total reclaimed space: {decimal_size(freed)}")
    return 0


def _texts(member: str) -> Callable[[Document], list[str]]:
    return lambda answer: list(texts_of(answer, member))


def _for_cache(given: list[str]) -> list[str]:
    """Build cache has no labels."""
    return [text for text in given if text.startswith("until=")]


def _warning(every: bool, volumes: bool) -> str:
    kinds = [
        "all stopped containers",
        "all networks not used by at least one container",
        *(["all anonymous volumes not used by at least one container"] if volumes else []),
        "all images without at least one container associated to them" if every else "all dangling images",
        "all build cache" if every else "unused build cache",
    ]
    return "This will remove:\n" + "".join(f"  - {kind}\n" for kind in kinds)


PRUNE = Command(
    "[OPTIONS]",
    "Remove what nothing uses: stopped containers, networks, dangling images, build cache",
    _prune,
    (
        Option("all", "bool", "Named images and all of the build cache too, if nothing uses them", "a"),
        OPTIONS[0],
        Option("filter", "filter", "Only what fits (until=24h, label=…)"),
        Option("force", "bool", "Do not ask", "f"),
        OPTIONS[1],
        Option("volumes", "bool", "Anonymous volumes too"),
    ),
    examples=("system prune --plan", "system prune -af --volumes", "system prune --carry-out 3f0c2a9b41d7"),
)
