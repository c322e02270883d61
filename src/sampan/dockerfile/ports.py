"""EXPOSE's ports: `80`, `8000-8010/udp`, and with a warning what `docker run -p` takes."""

import ipaddress
from dataclasses import dataclass

from sampan.dockerfile.faults import quoted

_LAST = 65535


@dataclass(frozen=True, slots=True)
class ExposedPorts:
    """`ports` as `80/tcp`. `published`: an address or a host's port was named, which means nothing here."""

    ports: list[str]
    protocol: str
    """as written; "tcp" where there was none"""
    published: bool


def parse_ports(text: str) -> ExposedPorts:
    """One argument of EXPOSE. Raises ValueError in BuildKit's wording."""
    *before, container = text.split(":")
    host = before.pop() if before else ""
    address = ":".join(before)
    port, _, protocol = container.partition("/")
    if not port:
        raise ValueError(f"invalid port: {quoted(text)}: no port specified")
    if protocol.lower() not in ("", "tcp", "udp", "sctp"):
        raise ValueError(f"invalid port: {quoted(text)}: invalid proto: {protocol}")
    protocol = protocol or "tcp"
    if address:
        _check_address(address)
    first, last = _range(port, "containerPort")
    if host:
        from_host, to_host = _range(host, "hostPort")
        if last - first not in (0, to_host - from_host):
            raise ValueError(f"invalid ranges specified for container and host Ports: {port} and {host}")
    ports = [f"{number}/{protocol.lower()}" for number in range(first, last + 1)]
    return ExposedPorts(ports, protocol, bool(address or host))


def _check_address(address: str) -> None:
    bare = address[1:-1] if address.startswith("[") and address.endswith("]") else address
    try:
        ipaddress.ip_address(bare)
    except ValueError:
        raise ValueError(f"invalid IP address: {bare}") from None


def _range(text: str, what: str) -> tuple[int, int]:
    first, dash, last = text.partition("-")
    numbers = [
        int(part) if part.isascii() and part.isdecimal() and len(part) < 8 else 0 for part in (first, last or first)
    ]
    if not 0 < numbers[0] <= numbers[1] <= _LAST or (dash and not last):
        raise ValueError(f"invalid {what}: {text}")
    return numbers[0], numbers[1]
