"""A network drawn for a terminal: what it is, who stands in it, and which of their ports are reached from where."""

from __future__ import annotations

from sampan.cli.output.listing import natural
from sampan.client.documents import flag_of, list_of, object_of, objects_of, text_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sampan.client.documents import Document

_LINES = {"way": "│", "branch": "├── ", "last": "└── ", "to": "→"}
_ASCII = {"way": "|", "branch": "+-- ", "last": "`-- ", "to": "->"}


def picture(network: Document, containers: Mapping[str, Document], *, plain: bool = False) -> list[str]:
    """`network` as inspect gives it, `containers` the same by id (one that is gone meanwhile may be missing).

    `plain`: in ASCII, for a terminal that shows nothing else.
    """
    signs = _ASCII if plain else _LINES
    lines = [*_head(network, signs["way"])]
    inside = object_of(network, "Containers")
    order = sorted(inside, key=lambda one: natural(text_of(object_of(inside, one), "Name")))
    if not order:
        return [*lines, f"{signs['last']}(no running container)"]
    width = max(len(text_of(object_of(inside, one), "Name")) for one in order)
    for one in order:
        is_last = one == order[-1]
        rows = list(_end_point(object_of(inside, one), containers.get(one, {}), text_of(network, "Name"), signs["to"]))
        for number, (first, address, rest) in enumerate(rows):
            lead = (
                signs["last" if is_last else "branch"] if number == 0 else ("    " if is_last else f"{signs['way']}   ")
            )
            lines.append(_plain(f"{lead}{first:<{width}}  {address:<{_width(rows)}}  {rest}".rstrip()))
        if not is_last:
            lines.append(signs["way"])
    return lines


def _plain(line: str) -> str:
    """Without what would move the cursor: aliases are whatever a client sent."""
    return "".join(one if one.isprintable() else "?" for one in line)


def _width(rows: list[tuple[str, str, str]]) -> int:
    return max(18, *(len(address) for _, address, _ in rows))


def _head(network: Document, way: str) -> Iterator[str]:
    options = object_of(network, "Options")
    link = text_of(options, "com.docker.network.bridge.name") or text_of(options, "parent")
    kind = [
        text_of(network, "Driver"),
        *(["internal"] if flag_of(network, "Internal") else []),
        *([link] if link else []),
    ]
    yield f"{text_of(network, 'Name')}  {text_of(network, 'Id')[:12]}  {', '.join(kind)}"
    for pool in objects_of(object_of(network, "IPAM"), "Config"):
        gateway = text_of(pool, "Gateway")
        yield f"{way}   {text_of(pool, 'Subnet')}" + (f"  gateway {gateway}" if gateway else "")
    yield way


def _end_point(place: Document, container: Document, network: str, to: str) -> Iterator[tuple[str, str, str]]:
    """Rows of (name, address, the rest): addresses with what the container is called, then its ports."""
    settings = object_of(container, "NetworkSettings")
    end = object_of(object_of(settings, "Networks"), network)
    aliases = [one for one in list_of(end, "Aliases") if isinstance(one, str) and one != text_of(place, "Name")]
    also = f"  also {', '.join(aliases)}" if aliases else ""
    addresses = [one for one in (text_of(place, "IPv4Address"), text_of(place, "IPv6Address")) if one] or [
        "(no address)"
    ]
    yield text_of(place, "Name"), addresses[0], f"{text_of(place, 'MacAddress')}{also}"
    yield from (("", one, "") for one in addresses[1:])
    ports = object_of(settings, "Ports")
    for port in sorted(ports, key=natural):
        reached = [_place(one) for one in objects_of(ports, port)]
        yield "", port, f"{to} {', '.join(reached)}" if reached else "not published"


def _place(binding: Document) -> str:
    host = text_of(binding, "HostIp")
    return f"[{host}]:{text_of(binding, 'HostPort')}" if ":" in host else f"{host}:{text_of(binding, 'HostPort')}"
