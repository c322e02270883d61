"""`images`: the list of images."""

from __future__ import annotations

from sampan.cli.options import Command, Option
from sampan.cli.output.listing import HELP, Headings, print_rows, truncated
from sampan.cli.output.units import ago, decimal_size, go_time
from sampan.cli.verbs.filters import encode_filters
from sampan.client.documents import number_of, text_of, texts_of
from sampan.templates.values import Row

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sampan.cli.options import Parsed
    from sampan.cli.session import Session
    from sampan.client.documents import Document

HEADINGS = Headings(
    {
        "ID": "IMAGE ID", "Repository": "REPOSITORY", "Tag": "TAG", "Digest": "DIGEST", "CreatedSince": "CREATED",
        "CreatedAt": "CREATED AT", "Size": "SIZE", "Containers": "CONTAINERS", "VirtualSize": "SIZE",
        "SharedSize": "SHARED SIZE", "UniqueSize": "UNIQUE SIZE",
    }
)  # fmt: skip
_NONE = "<none>"


def _images(session: Session, parsed: Parsed) -> int:
    given = [*parsed.many("filter")]
    if parsed.words:
        given.append(f"reference={parsed.words[0]}")
    query = {"all": "1" if parsed.flag("all") else None, "filters": encode_filters(given)}
    found = session.engine.fetch_list("/images/json", query)
    short = not parsed.flag("no-trunc")
    form = parsed.text("format") or (text_of(session.config, "imagesFormat") if not parsed.flag("quiet") else "")
    if parsed.flag("quiet") and form in ("", "table"):
        form = "{{.ID}}"
    digests = parsed.flag("digests")
    if digests and form.startswith("table ") and "{{.Digest}}" not in form:
        form += "\t{{.Digest}}"
    rows = [row for item in found for row in _rows(item, short, digests, digests or "{{.Digest}}" in form)]
    columns = ("Repository", "Tag", *(("Digest",) if digests else ()), "ID", "CreatedSince", "Size")
    print_rows(session, form, columns, HEADINGS, rows)
    return 0


def _rows(item: Document, short: bool, each_digest: bool, want_digest: bool) -> list[Row]:
    tags = [text for text in texts_of(item, "RepoTags") if text != "<none>:<none>"]
    digests = [text for text in texts_of(item, "RepoDigests") if text != "<none>@<none>"]
    if not tags and not digests:
        return [image_row(item, short, _NONE, _NONE, _NONE)]
    by_name: dict[str, list[str]] = {}
    for text in digests:
        name, _, digest = text.partition("@")
        by_name.setdefault(_familiar(name), []).append(digest)
    rows: list[Row] = []
    tagged: set[str] = set()
    for text in tags:
        name, _, tag = text.rpartition(":")
        name = _familiar(name)
        tagged.add(name)
        shown = by_name.get(name, []) if want_digest else []
        rows += [image_row(item, short, name, tag, digest) for digest in (shown or [_NONE])]
    for name, values in by_name.items():
        if name not in tagged:
            rows += [image_row(item, short, name, _NONE, digest) for digest in (values if each_digest else [""])]
    return rows


def _familiar(name: str) -> str:
    return name.removeprefix("docker.io/").removeprefix("library/") if name.startswith("docker.io/") else name


def image_row(item: Document, short: bool, repository: str, tag: str, digest: str) -> Row:
    """What templates and tables can show of an image under one of its names."""
    size, shared = number_of(item, "Size"), number_of(item, "SharedSize")
    fields = {
        "ID": lambda: truncated(text_of(item, "Id")) if short else text_of(item, "Id"),
        "Repository": lambda: repository,
        "Tag": lambda: tag,
        "Digest": lambda: digest,
        "CreatedSince": lambda: ago(number_of(item, "Created")),
        "CreatedAt": lambda: go_time(number_of(item, "Created")),
        "Size": lambda: decimal_size(size, 3),
        "Containers": lambda: _or_unknown(number_of(item, "Containers")),
        "VirtualSize": lambda: decimal_size(number_of(item, "VirtualSize") or size),
        "SharedSize": lambda: "N/A" if shared == -1 else decimal_size(shared),
        "UniqueSize": lambda: "N/A" if -1 in (size, shared) else decimal_size(size - shared),
    }
    return Row("*formatter.imageContext", fields)


def _or_unknown(number: int) -> str:
    return "N/A" if number == -1 else str(number)


IMAGES = Command(
    "[OPTIONS] [REPOSITORY[:TAG]]",
    "List images",
    _images,
    (
        Option("all", "bool", "Show intermediate images too", "a"),
        Option("digests", "bool", "Show digests"),
        Option("filter", "filter", "Show only what fits (reference=…, dangling=true, label=…)", "f"),
        Option("format", "string", HELP),
        Option("no-trunc", "bool", "Do not shorten ids"),
        Option("quiet", "bool", "Show ids only", "q"),
        Option("tree", "bool", "Show the platforms of an image as a tree", refused="images have one platform here"),
    ),
    words=(0, 1),
    completes="image",
    examples=("images", "images 'registry.example:5000/*' --format '{{.ID}} {{.Size}}'"),
)
