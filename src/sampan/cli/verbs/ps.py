"""`ps`: the list of containers."""

from __future__ import annotations

from sampan.cli.options import Command, Option
from sampan.cli.output.listing import HELP, Headings, ellipsis, print_rows, truncated
from sampan.cli.output.units import ago, decimal_size, go_time
from sampan.cli.verbs.filters import encode_filters
from sampan.client.documents import number_of, object_of, objects_of, text_of, texts_of
from sampan.templates.values import Row

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sampan.cli.options import Parsed
    from sampan.cli.session import Session
    from sampan.client.documents import Document, Json

COLUMNS = ("ID", "Image", "Command", "RunningFor", "Status", "Ports", "Names")
HEADINGS = Headings(
    {
        "ID": "CONTAINER ID", "Names": "NAMES", "Image": "IMAGE", "Command": "COMMAND", "CreatedAt": "CREATED AT",
        "RunningFor": "CREATED", "Ports": "PORTS", "State": "STATE", "Status": "STATUS", "Size": "SIZE", "Labels": "LABELS",
        "Mounts": "MOUNTS", "LocalVolumes": "LOCAL VOLUMES", "Networks": "NETWORKS", "Platform": "PLATFORM",
    },
    "failed to parse template", "failed to execute template",
)  # fmt: skip


def _ps(session: Session, parsed: Parsed) -> int:
    form = parsed.text("format") or (text_of(session.config, "psFormat") if not parsed.flag("quiet") else "")
    last = 1 if parsed.flag("latest") else parsed.number("last")
    if parsed.flag("quiet") and form:
        session.warn("WARNING: Ignoring custom format, because both --format and --quiet are set.")
        form = ""
    sized = parsed.flag("size") or ".Size" in form or "json ." in form
    query = {
        "all": "1" if parsed.flag("all") or last > 0 else None,
        "limit": str(last) if last > 0 else None,
        "size": "1" if sized else None,
        "filters": encode_filters(parsed.many("filter")),
    }
    found = session.engine.fetch_list("/containers/json", query)
    short = not parsed.flag("no-trunc")
    if parsed.flag("quiet"):
        for item in found:
            session.say(truncated(text_of(item, "Id")) if short else text_of(item, "Id"))
        return 0
    columns = (*COLUMNS, "Size") if parsed.flag("size") else COLUMNS
    print_rows(session, form, columns, HEADINGS, [container_row(item, short) for item in found])
    return 0


def container_row(item: Document, short: bool) -> Row:
    """What templates and tables can show of one container."""
    labels = object_of(item, "Labels")
    fields = {
        "ID": lambda: truncated(text_of(item, "Id")) if short else text_of(item, "Id"),
        "Names": lambda: _names(item, short),
        "Image": lambda: _image(item, short),
        "Command": lambda: _command(item, short),
        "CreatedAt": lambda: go_time(number_of(item, "Created")),
        "RunningFor": lambda: ago(number_of(item, "Created")),
        "Ports": lambda: displayable_ports(objects_of(item, "Ports")),
        "State": lambda: text_of(item, "State"),
        "Status": lambda: text_of(item, "Status"),
        "Size": lambda: _size(item),
        "Labels": lambda: ",".join(sorted(f"{key}={value}" for key, value in labels.items())),
        "Mounts": lambda: _mounts(item, short),
        "LocalVolumes": lambda: str(sum(text_of(mount, "Driver") == "local" for mount in objects_of(item, "Mounts"))),
        "Networks": lambda: ",".join(sorted(object_of(object_of(item, "NetworkSettings"), "Networks"))),
        "Platform": lambda: _platform(item),
    }
    return Row("*formatter.ContainerContext", fields, {"Label": lambda name: text_of(labels, name)})


def _names(item: Document, short: bool) -> str:
    names = [name.removeprefix("/") for name in texts_of(item, "Names")]
    if short:
        return next((name for name in names if "/" not in name), "")
    return ",".join(names)


def _image(item: Document, short: bool) -> str:
    image = text_of(item, "Image")
    if not image:
        return "<no image>"
    if not short:
        return image
    if truncated(text_of(item, "ImageID")) == truncated(image):
        return truncated(image)
    name = image.partition("@")[0] or image
    return name.removeprefix("docker.io/").removeprefix("library/") if name.startswith("docker.io/") else name


def _command(item: Document, short: bool) -> str:
    command = text_of(item, "Command")
    if short:
        command = ellipsis(command, 20)
    if command.isascii() and command.isprintable() and '"' not in command and "\\" not in command:
        return f'"{command}"'
    from sampan.templates.formats import quoted

    return quoted(command)


def _size(item: Document) -> str:
    own, whole = number_of(item, "SizeRw"), number_of(item, "SizeRootFs")
    text = decimal_size(own, 3)
    return f"{text} (virtual {decimal_size(whole, 3)})" if whole > 0 else text


def _mounts(item: Document, short: bool) -> str:
    names = [text_of(mount, "Name") or text_of(mount, "Source") for mount in objects_of(item, "Mounts")]
    return ",".join(ellipsis(name, 15) if short else name for name in names)


def _platform(item: Document) -> Json:
    platform = object_of(object_of(item, "ImageManifestDescriptor"), "platform")
    if not platform:
        return None
    return "/".join(part for part in (text_of(platform, key) for key in ("os", "architecture", "variant")) if part)


def displayable_ports(ports: list[Document]) -> str:
    """0.0.0.0:80->80/tcp, 443/tcp: published ports that keep their number, and unpublished ones, joined to ranges."""
    order = sorted(
        ports,
        key=lambda p: (number_of(p, "PrivatePort"), text_of(p, "IP"), number_of(p, "PublicPort"), text_of(p, "Type")),
    )
    groups: dict[str, tuple[int, int]] = {}
    closed: list[str] = []
    moved: list[str] = []
    for port in order:
        inside, outside, kind, ip = (
            number_of(port, "PrivatePort"), number_of(port, "PublicPort"), text_of(port, "Type"), text_of(port, "IP"),
        )  # fmt: skip
        if ip and outside != inside:
            moved.append(f"{_joined(ip, str(outside))}->{inside}/{kind}")
            continue
        key = f"{ip}/{kind}" if ip else kind
        first, last = groups.get(key, (inside, inside))
        if inside == last + 1 or inside == last:
            groups[key] = (first, inside)
        else:
            closed.append(_group(key, first, last))
            groups[key] = (inside, inside)
    return ", ".join([*closed, *(_group(key, *span) for key, span in groups.items()), *moved])


def _joined(ip: str, port: str) -> str:
    return f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"


def _group(key: str, first: int, last: int) -> str:
    ip, _, kind = key.rpartition("/")
    span = str(first) if first == last else f"{first}-{last}"
    return f"{_joined(ip, span)}->{span}/{kind}" if ip else f"{span}/{kind}"


PS = Command(
    "[OPTIONS]",
    "List containers",
    _ps,
    (
        Option("all", "bool", "Show stopped containers too", "a"),
        Option("filter", "filter", "Show only what fits (name=…, status=…, label=…, ancestor=…)", "f"),
        Option("format", "string", HELP),
        Option("last", "int", "Show the N containers created last, stopped ones too", "n", default=-1),
        Option("latest", "bool", "Show the container created last", "l"),
        Option("no-trunc", "bool", "Do not shorten ids and commands"),
        Option("quiet", "bool", "Show ids only", "q"),
        Option("size", "bool", "Show how much each has written", "s"),
    ),
    examples=(
        "ps -a",
        "ps --filter status=exited --format 'table {{.Names}}\\t{{.Status}}'",
        "ps -aq --filter label=test",
    ),
)
