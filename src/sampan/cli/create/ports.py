"""Published and declared ports: -p and --expose in all their spellings. Messages as go-connections has them."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sampan.client.documents import Document, Json

_PROTOCOLS = ("tcp", "udp", "sctp")


def published(specifications: list[str]) -> tuple[list[str], Document]:
    """(ports to declare, PortBindings of the API). ValueError says which part is wrong."""
    declared: dict[str, None] = {}
    bindings: Document = {}
    for specification in specifications:
        for port, address, host_port in _expand(_short_form(specification)):
            declared[port] = None
            entries = bindings.setdefault(port, [])
            assert isinstance(entries, list)
            entry: Json = {"HostIp": address, "HostPort": host_port}
            entries.append(entry)
    return list(declared), bindings


def _short_form(text: str) -> str:
    if "=" not in text:
        return text
    given = {"protocol": "tcp"}
    for field in text.split(","):
        key, equals, value = field.partition("=")
        if not equals or not key:
            raise ValueError(f"invalid publish opts format (should be name=value but got '{field}')")
        given[key] = value
    return f"{given.get('published', '')}:{given.get('target', '')}/{given['protocol']}"


def _expand(text: str) -> list[tuple[str, str, str]]:
    body, _, protocol = text.partition("/")
    protocol = (protocol or "tcp").lower()
    address, host, container = _split(body)
    if not container:
        raise ValueError(f"no port specified: {text}<empty>")
    if protocol not in _PROTOCOLS:
        raise ValueError(f"invalid proto: {protocol}")
    if address:
        address = _address(address)
    first, last = _range(container, "containerPort")
    if not host:
        return [(f"{port}/{protocol}", address, "") for port in range(first, last + 1)]
    host_first, host_last = _range(host, "hostPort")
    if last - first != host_last - host_first:
        if first != last:
            raise ValueError(f"invalid ranges specified for container and host Ports: {container} and {host}")
        # one container port on the first free one of a range: the daemon chooses
        return [(f"{first}/{protocol}", address, f"{host_first}-{host_last}")]
    return [(f"{port}/{protocol}", address, str(host_first + port - first)) for port in range(first, last + 1)]


def _split(body: str) -> tuple[str, str, str]:
    parts = body.rsplit(":", 2)
    if len(parts) == 1:
        return "", "", parts[0]
    if len(parts) == 2:
        return "", parts[0], parts[1]
    return parts[0], parts[1], parts[2]


def _address(text: str) -> str:
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    if not is_address(bare):
        raise ValueError(f"invalid IP address: {text}")
    return bare


def is_address(text: str) -> bool:
    """Whether `text` is a numeric IPv4 or IPv6 address (the ipaddress module costs 8 ms)."""
    import _socket

    family = _socket.AF_INET6 if ":" in text else _socket.AF_INET
    try:
        _socket.inet_pton(family, text.partition("%")[0])
    except (OSError, ValueError):
        return False
    return True


def _number(text: str) -> int | None:
    if text.isascii() and text.isdigit() and len(text) <= 6 and int(text) <= 65535:
        return int(text)
    return None


def _range(text: str, what: str) -> tuple[int, int]:
    low, dash, high = text.partition("-")
    first, last = _number(low), _number(high if dash else low)
    if first is None or last is None or last < first:
        raise ValueError(f"invalid {what}: {text}")
    return first, last


def exposed(specifications: list[str]) -> list[str]:
    """The ports that --expose declares, each as PORT/PROTOCOL."""
    found: list[str] = []
    for text in specifications:
        if ":" in text:
            raise ValueError(f"invalid port format for --expose: {text}")
        ports, _, protocol = text.partition("/")
        low, dash, high = ports.partition("-")
        first, last = _number(low), _number(high if dash else low)
        if first is None or last is None or last < first:
            wrong = low if first is None else high
            raise ValueError(
                f'invalid range format for --expose: {text}, error: strconv.ParseUint: parsing "{wrong}": invalid syntax'
            )
        found += [f"{port}/{protocol or 'tcp'}" for port in range(first, last + 1)]
    return found
