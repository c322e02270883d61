"""`system df`: what takes room on the disk, and what of it could be had back."""

from __future__ import annotations

from sampan.cli.options import Command, Option
from sampan.cli.output.listing import HELP, Headings, print_rows
from sampan.cli.output.units import decimal_size
from sampan.client.documents import number_of, object_of, objects_of, text_of, texts_of
from sampan.client.failures import RefusedByDaemon
from sampan.templates.values import Row

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from sampan.cli.options import Parsed
    from sampan.cli.session import Session
    from sampan.client.documents import Document, Json

HEADINGS = Headings(
    {"Type": "TYPE", "TotalCount": "TOTAL", "Active": "ACTIVE", "Size": "SIZE", "Reclaimable": "RECLAIMABLE"}
)
_COLUMNS = ("Type", "TotalCount", "Active", "Size", "Reclaimable")
_ALIVE = ("running", "paused", "restarting")


def _df(session: Session, parsed: Parsed) -> int:
    usage = session.engine.fetch_document("/system/df")
    form = parsed.text("format")
    if not parsed.flag("verbose"):
        print_rows(session, form, _COLUMNS, HEADINGS, _rows(usage))
        if form in ("", "table"):
            _print_freeing(session)
    elif form in ("", "table") or form.startswith("table "):
        _print_details(session, usage)
    else:
        print_rows(session, form, (), HEADINGS, [_details(usage)])
    return 0


def _print_freeing(session: Session) -> None:
    """What was removed and is still being deleted, where the daemon is Sampan's and something is."""
    try:
        found = session.engine.fetch_document("/sampan/freeing")
    except RefusedByDaemon:
        return  # another engine, which has no such thing
    items, size = number_of(found, "Items"), number_of(found, "Size")
    if items:
        session.say(f"\nBeing deleted: {decimal_size(size)} in {items} blobs, layers and containers")


def _rows(usage: Document) -> list[Row]:
    return [_images(usage), _containers(usage), _volumes(usage), _build_cache(usage)]


def _row(kind: str, total: int, active: int, size: int, free: int, share: bool = True) -> Row:
    shown = decimal_size(free) + (f" ({free * 100 // size}%)" if share and size > 0 else "")
    fields = {
        "Type": lambda: kind,
        "TotalCount": lambda: str(total),
        "Active": lambda: str(active),
        "Size": lambda: decimal_size(size),
        "Reclaimable": lambda: shown,
    }
    return Row("*formatter.diskUsageContext", fields)


def _images(usage: Document) -> Row:
    found = objects_of(usage, "Images")
    used = [item for item in found if number_of(item, "Containers") != 0]
    held = sum(
        number_of(item, "Size") - number_of(item, "SharedSize")
        for item in used
        if number_of(item, "Size") != -1 and number_of(item, "SharedSize") != -1
    )
    size = number_of(usage, "LayersSize")
    active = sum(number_of(item, "Containers") > 0 for item in found)
    return _row("Images", len(found), active, size, size - held)


def _containers(usage: Document) -> Row:
    found = objects_of(usage, "Containers")
    still = [item for item in found if not any(word in text_of(item, "State") for word in _ALIVE)]
    size = sum(number_of(item, "SizeRw") for item in found)
    return _row("Containers", len(found), len(found) - len(still), size, sum(number_of(i, "SizeRw") for i in still))


def _volumes(usage: Document) -> Row:
    found = objects_of(usage, "Volumes")
    told = [object_of(item, "UsageData") for item in found]
    known = [data for data in told if number_of(data, "Size") != -1]
    free = sum(number_of(data, "Size") for data in known if number_of(data, "RefCount") == 0)
    active = sum(number_of(data, "RefCount") > 0 for data in told)
    return _row("Local Volumes", len(found), active, sum(number_of(data, "Size") for data in known), free)


def _build_cache(usage: Document) -> Row:
    found = objects_of(usage, "BuildCache")
    used = [item for item in found if item.get("InUse") is True]
    size = sum(number_of(item, "Size") for item in found if item.get("Shared") is not True)
    free = size - sum(number_of(item, "Size") for item in used if item.get("Shared") is not True)
    return _row("Build Cache", len(found), len(used), size, free, share=False)


def _image_rows(usage: Document) -> list[Row]:
    from sampan.cli.verbs.images import image_row

    rows = []
    for item in objects_of(usage, "Images"):
        name, _, tag = next(iter(texts_of(item, "RepoTags")), "<none>:<none>").rpartition(":")
        rows.append(image_row(item, True, name, tag, "<none>"))
    return rows


def _container_rows(usage: Document) -> list[Row]:
    from sampan.cli.verbs.ps import container_row

    # The image's part of the size is told with the images.
    return [container_row({**item, "SizeRootFs": 0}, True) for item in objects_of(usage, "Containers")]


def _volume_rows(usage: Document) -> list[Row]:
    from sampan.cli.verbs.volumes import volume_row

    return [volume_row(item) for item in objects_of(usage, "Volumes")]


def _cache_rows(usage: Document) -> list[Row]:
    from sampan.cli.verbs.builder import by_use, cache_row

    return [cache_row(item) for item in by_use(objects_of(usage, "BuildCache"))]


def _print_details(session: Session, usage: Document) -> None:
    from sampan.cli.verbs import builder, images, ps, volumes

    columns = ("Repository", "Tag", "ID", "CreatedSince", "Size", "SharedSize", "UniqueSize", "Containers")
    session.say("Images space usage:\n")
    print_rows(session, "", columns, images.HEADINGS, _image_rows(usage))
    session.say("\nContainers space usage:\n")
    columns = ("ID", "Image", "Command", "LocalVolumes", "Size", "RunningFor", "Status", "Names")
    print_rows(session, "", columns, ps.HEADINGS, _container_rows(usage))
    session.say("\nLocal Volumes space usage:\n")
    print_rows(session, "", ("Name", "Links", "Size"), volumes.HEADINGS, _volume_rows(usage))
    session.say(f"\nBuild cache usage: {decimal_size(number_of(usage, 'BuilderSize'))}\n")
    print_rows(session, "", builder.COLUMNS, builder.HEADINGS, _cache_rows(usage))


def _details(usage: Document) -> Row:
    """Everything at once, as a template sees it with -v."""
    fields: dict[str, Callable[[], Json]] = {
        "Images": lambda: [row.document() for row in _image_rows(usage)],
        "Containers": lambda: [row.document() for row in _container_rows(usage)],
        "Volumes": lambda: [row.document() for row in _volume_rows(usage)],
        "BuildCache": lambda: [row.document() for row in _cache_rows(usage)],
    }
    return Row("*formatter.diskUsageContext", fields)


DF = Command(
    "[OPTIONS]",
    "Show what takes room on the disk, and what of it could be had back",
    _df,
    (
        Option("format", "string", HELP),
        Option("verbose", "bool", "Show each image, container and volume", "v"),
    ),
    examples=("system df", "system df -v"),
)
