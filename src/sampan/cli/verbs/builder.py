"""`builder df` and `builder prune`: what the build cache holds, and giving it back."""

from __future__ import annotations

from sampan.cli.options import Command, Option
from sampan.cli.output.listing import HELP, Headings, print_rows, truncated
from sampan.cli.output.units import ago, decimal_size, parse_time
from sampan.cli.verbs.prune import confirmed, report
from sampan.cli.verbs.prune_plan import OPTIONS, filters_of, planned
from sampan.client.documents import number_of, objects_of, text_of, texts_of
from sampan.templates.values import Row

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sampan.cli.options import Parsed
    from sampan.cli.session import Session
    from sampan.client.documents import Document

HEADINGS = Headings(
    {
        "ID": "CACHE ID",
        "CacheType": "CACHE TYPE",
        "Size": "SIZE",
        "CreatedSince": "CREATED",
        "LastUsedSince": "LAST USED",
        "UsageCount": "USAGE",
        "Shared": "SHARED",
        "InUse": "IN USE",
        "Description": "DESCRIPTION",
    }
)
COLUMNS = ("ID", "CacheType", "Size", "CreatedSince", "LastUsedSince", "UsageCount", "Shared")
"""Those that `docker system df -v` shows."""


def cache_row(item: Document) -> Row:
    """One object of the cache, as a template sees it."""

    def since(name: str) -> str:
        try:
            moment = parse_time(text_of(item, name))
        except ValueError:
            moment = 0.0
        return ago(moment) if moment > 0 else ""

    fields = {
        "ID": lambda: truncated(text_of(item, "ID")) + ("*" if item.get("InUse") is True else ""),
        "Parents": lambda: ",".join(texts_of(item, "Parents")),
        "CacheType": lambda: text_of(item, "Type"),
        "Description": lambda: text_of(item, "Description"),
        "InUse": lambda: "true" if item.get("InUse") is True else "false",
        "Shared": lambda: "true" if item.get("Shared") is True else "false",
        "Size": lambda: decimal_size(number_of(item, "Size"), 3),
        "CreatedSince": lambda: since("CreatedAt"),
        "LastUsedSince": lambda: since("LastUsedAt"),
        "UsageCount": lambda: str(number_of(item, "UsageCount")),
    }
    return Row("*formatter.buildCacheContext", fields)


def by_use(found: list[Document]) -> list[Document]:
    """Those that were used last come first."""
    return sorted(found, key=lambda item: text_of(item, "LastUsedAt") or text_of(item, "CreatedAt"), reverse=True)


def _df(session: Session, parsed: Parsed) -> int:
    usage = session.engine.fetch_document("/system/df", {"type": "build-cache"})
    found = by_use(objects_of(usage, "BuildCache"))
    columns = (*COLUMNS[:-1], "Description") if parsed.flag("verbose") else COLUMNS
    print_rows(session, parsed.text("format"), columns, HEADINGS, [cache_row(item) for item in found])
    if not parsed.text("format"):
        free = sum(number_of(item, "Size") for item in found if item.get("InUse") is not True)
        total = sum(number_of(item, "Size") for item in found)
        session.say(f"\nReclaimable: {decimal_size(free)}\nTotal:       {decimal_size(total)}")
    return 0


def _prune(session: Session, parsed: Parsed) -> int:
    from sampan.cli.verbs.filters import encode_filters

    every = parsed.flag("all")
    wanted: Document = {
        "All": every,
        "ReservedSpace": parsed.number("keep-storage") or 0,
        "Filters": filters_of(parsed.many("filter")),
    }
    if planned(session, parsed, {"BuildCache": wanted}):
        return 0
    if not confirmed(parsed, f"This will remove all {'' if every else 'dangling '}build cache."):
        return 0
    query = {
        "all": "1" if every else None,
        "filters": encode_filters(parsed.many("filter")),
        "keep-storage": str(parsed.number("keep-storage")) if parsed.number("keep-storage") else None,
    }
    answer = session.engine.fetch_document("/build/prune", query, method="POST")
    lines = texts_of(answer, "CachesDeleted")
    return report(session, "Deleted build cache objects:", lines, number_of(answer, "SpaceReclaimed"))


DF = Command(
    "[OPTIONS]",
    "Show what the build cache holds, what was used last first (* is in use)",
    _df,
    (
        Option("format", "string", HELP),
        Option("verbose", "bool", "Show what each object was made by", "v"),
    ),
    examples=("builder df", "builder df -v", "builder df --format '{{.ID}} {{.Size}} {{.Description}}'"),
)
PRUNE = Command(
    "[OPTIONS]",
    "Remove build cache",
    _prune,
    (
        Option("all", "bool", "Everything that is not in use, not only what nothing can use any more", "a"),
        OPTIONS[0],
        Option("filter", "filter", "Only what fits (until=24h, type=exec.cachemount, id=…)"),
        Option("force", "bool", "Do not ask", "f"),
        Option("keep-storage", "bytes", "Keep so much of it, what was used last"),
        OPTIONS[1],
    ),
    examples=("builder prune -f", "builder prune -af --filter until=168h", "builder prune -a --keep-storage 5g"),
)
