"""`port`: where a container's published ports are reached."""

from __future__ import annotations

from sampan.cli.failures import Exit
from sampan.cli.options import Command
from sampan.cli.output.listing import natural
from sampan.client.documents import object_of, objects_of, text_of
from sampan.client.engine import quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sampan.cli.options import Parsed
    from sampan.cli.session import Session
    from sampan.client.documents import Document

_PORTS = 65536


def _port(session: Session, parsed: Parsed) -> int:
    name, *asked = parsed.words
    found = session.engine.fetch_document(f"/containers/{quoted(name)}/json")
    ports = object_of(object_of(found, "NetworkSettings"), "Ports")
    if asked and asked[0]:
        lines = reached(ports, _checked(asked[0]))
        if not lines:
            raise Exit(1, f"Error: No public port '{asked[0]}' published for {name}")
    else:
        lines = [f"{port} -> {place}" for port in ports for place in reached(ports, port)]
    if lines:
        session.say("\n".join(sorted(lines, key=natural)))
    return 0


def reached(ports: Document, port: str) -> list[str]:
    """Where one of NetworkSettings.Ports is reached: HOST:PORT, brackets around an IPv6 address."""
    places = []
    for binding in objects_of(ports, port):
        host = text_of(binding, "HostIp")
        places.append(
            f"[{host}]:{text_of(binding, 'HostPort')}" if ":" in host else f"{host}:{text_of(binding, 'HostPort')}"
        )
    return places


def _checked(asked: str) -> str:
    number, _, protocol = asked.partition("/")
    if not number.isascii() or not number.isdigit() or int(number) >= _PORTS:
        why = "value out of range" if number.isascii() and number.isdigit() else "invalid syntax"
        raise Exit(1, f'Error: invalid port ({number}): strconv.ParseUint: parsing "{number}": {why}')
    return f"{number}/{protocol or 'tcp'}"


PORT = Command(
    "CONTAINER [PRIVATE_PORT[/PROTO]]",
    "Show where the published ports of a container are reached",
    _port,
    words=(1, 2),
    completes="container",
    examples=("port web", "port web 80", "port names 53/udp"),
)
