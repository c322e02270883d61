"""`volume create`, `ls`, `rm`."""

from __future__ import annotations

from sampan.cli.create.environment import pairs_to_document
from sampan.cli.failures import Exit
from sampan.cli.options import Command, Option
from sampan.cli.output.listing import HELP, Headings, natural, print_rows
from sampan.cli.output.units import decimal_size
from sampan.cli.verbs.each import for_each
from sampan.cli.verbs.filters import encode_filters
from sampan.client.documents import number_of, object_of, objects_of, text_of
from sampan.client.engine import quoted
from sampan.templates.values import Row

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sampan.cli.options import Parsed
    from sampan.cli.session import Session
    from sampan.client.documents import Document

_CLUSTER = "cluster volumes belong to swarm"
HEADINGS = Headings(
    {
        "Driver": "DRIVER", "Name": "VOLUME NAME", "Scope": "SCOPE", "Mountpoint": "MOUNTPOINT", "Labels": "LABELS",
        "Links": "LINKS", "Size": "SIZE", "Availability": "AVAILABILITY", "Group": "GROUP", "Status": "STATUS",
    }
)  # fmt: skip


def _list(session: Session, parsed: Parsed) -> int:
    answer = session.engine.fetch_document("/volumes", {"filters": encode_filters(parsed.many("filter"))})
    found = sorted(objects_of(answer, "Volumes"), key=lambda item: natural(text_of(item, "Name")))
    form = parsed.text("format") or text_of(session.config, "volumesFormat")
    if parsed.flag("quiet"):
        form = "{{.Name}}"
    print_rows(session, form, ("Driver", "Name"), HEADINGS, [volume_row(item) for item in found])
    return 0


def volume_row(item: Document) -> Row:
    """What templates and tables can show of a volume."""
    labels, usage = object_of(item, "Labels"), object_of(item, "UsageData")
    fields = {
        "Name": lambda: text_of(item, "Name"),
        "Driver": lambda: text_of(item, "Driver"),
        "Scope": lambda: text_of(item, "Scope"),
        "Mountpoint": lambda: text_of(item, "Mountpoint"),
        "Labels": lambda: ",".join(sorted(f"{key}={value}" for key, value in labels.items())),
        "Links": lambda: str(number_of(usage, "RefCount")) if usage else "N/A",
        "Size": lambda: decimal_size(number_of(usage, "Size")) if usage else "N/A",
        "Availability": lambda: "N/A",
        "Group": lambda: "N/A",
        "Status": lambda: "N/A",
    }
    return Row("*formatter.volumeContext", fields, {"Label": lambda name: text_of(labels, name)})


def _create(session: Session, parsed: Parsed) -> int:
    body: Document = {
        "Name": parsed.words[0] if parsed.words else "",
        "Driver": parsed.text("driver"),
        "DriverOpts": pairs_to_document(parsed.many("opt")),
        "Labels": pairs_to_document(parsed.many("label")),
    }
    session.say(text_of(session.engine.fetch_document("/volumes/create", method="POST", body=body), "Name"))
    return 0


def _remove(session: Session, parsed: Parsed) -> int:
    def act(name: str) -> str:
        if not name:
            raise Exit(1, "volume name must not be empty")
        session.engine.order("DELETE", f"/volumes/{quoted(name)}", {"force": "1" if parsed.flag("force") else None})
        return name

    return for_each(session, parsed.words, act)


LIST = Command(
    "[OPTIONS]",
    "List volumes",
    _list,
    (
        Option("cluster", "bool", "Show cluster volumes only", refused=_CLUSTER),
        Option("filter", "filter", "Show only what fits (dangling=true, label=…, name=…)", "f"),
        Option("format", "string", HELP),
        Option("quiet", "bool", "Show names only", "q"),
    ),
    examples=("volume ls -f dangling=true",),
)
CREATE = Command(
    "[OPTIONS] [VOLUME]",
    "Create a volume",
    _create,
    (
        Option("availability", "string", "Availability of a cluster volume", default="active", refused=_CLUSTER),
        Option("driver", "string", "Volume driver", "d", default="local"),
        Option("group", "string", "Group of a cluster volume", refused=_CLUSTER),
        Option("label", "list", "Label (KEY=VALUE)"),
        Option("limit-bytes", "bytes", "Largest size of a cluster volume", refused=_CLUSTER),
        Option("opt", "map", "Option of the driver (KEY=VALUE)", "o"),
        Option("required-bytes", "bytes", "Least size of a cluster volume", refused=_CLUSTER),
        Option("scope", "string", "Scope of a cluster volume", default="single", refused=_CLUSTER),
        Option("secret", "map", "Secret of a cluster volume", refused=_CLUSTER),
        Option("sharing", "string", "Sharing of a cluster volume", default="none", refused=_CLUSTER),
        Option("topology-preferred", "list", "Topology of a cluster volume", refused=_CLUSTER),
        Option("topology-required", "list", "Topology of a cluster volume", refused=_CLUSTER),
        Option("type", "string", "Access type of a cluster volume", default="block", refused=_CLUSTER),
    ),
    words=(0, 1),
    examples=("volume create data", "volume create -o type=tmpfs -o device=tmpfs -o o=size=100m scratch"),
)
REMOVE = Command(
    "[OPTIONS] VOLUME [VOLUME...]", "Remove volumes that no container uses", _remove,
    (Option("force", "bool", "Do not mind one that is missing", "f"),),
    words=(1, None), completes="volume", examples=("volume rm data",),
)  # fmt: skip
