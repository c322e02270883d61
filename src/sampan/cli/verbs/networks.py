"""`network ls`."""

from __future__ import annotations

from sampan.cli.options import Command, Option
from sampan.cli.output.listing import HELP, Headings, natural, print_rows, truncated
from sampan.cli.verbs.filters import encode_filters
from sampan.client.documents import flag_of, object_of, text_of
from sampan.templates.values import Row

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sampan.cli.options import Parsed
    from sampan.cli.session import Session
    from sampan.client.documents import Document

HEADINGS = Headings(
    {
        "ID": "NETWORK ID", "Name": "NAME", "Driver": "DRIVER", "Scope": "SCOPE", "IPv4": "IPV4", "IPv6": "IPV6",
        "Internal": "INTERNAL", "Labels": "LABELS", "CreatedAt": "CREATED AT",
    }
)  # fmt: skip


def _list(session: Session, parsed: Parsed) -> int:
    found = session.engine.fetch_list("/networks", {"filters": encode_filters(parsed.many("filter"))})
    found.sort(key=lambda item: natural(text_of(item, "Name")))
    short = not parsed.flag("no-trunc")
    form = parsed.text("format") or text_of(session.config, "networksFormat")
    if parsed.flag("quiet"):
        form = "{{.ID}}"
    print_rows(session, form, ("ID", "Name", "Driver", "Scope"), HEADINGS, [_row(item, short) for item in found])
    return 0


def _row(item: Document, short: bool) -> Row:
    labels = object_of(item, "Labels")
    fields = {
        "ID": lambda: truncated(text_of(item, "Id")) if short else text_of(item, "Id"),
        "Name": lambda: text_of(item, "Name"),
        "Driver": lambda: text_of(item, "Driver"),
        "Scope": lambda: text_of(item, "Scope"),
        "IPv4": lambda: _truth(item, "EnableIPv4"),
        "IPv6": lambda: _truth(item, "EnableIPv6"),
        "Internal": lambda: _truth(item, "Internal"),
        "Labels": lambda: ",".join(sorted(f"{key}={value}" for key, value in labels.items())),
        "CreatedAt": lambda: _go_moment(text_of(item, "Created")),
    }
    return Row("*network.networkContext", fields, {"Label": lambda name: text_of(labels, name)})


def _truth(item: Document, key: str) -> str:
    return "true" if flag_of(item, key) else "false"


def _go_moment(text: str) -> str:
    """2026-11-23T21:01:23.86Z as Go's Time.String() has it: 2026-11-23 21:01:23.86 +0000 UTC."""
    if text.endswith("Z"):
        return text[:-1].replace("T", " ") + " +0000 UTC"
    offset = text[-6:].replace(":", "")
    return f"{text[:-6].replace('T', ' ')} {offset} {offset}"


LIST = Command(
    "[OPTIONS]",
    "List networks",
    _list,
    (
        Option("filter", "filter", "Show only what fits (driver=bridge, name=…)", "f"),
        Option("format", "string", HELP),
        Option("no-trunc", "bool", "Do not shorten ids"),
        Option("quiet", "bool", "Show ids only", "q"),
    ),
    examples=("network ls",),
)
