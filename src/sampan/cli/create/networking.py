"""Which networks a container joins, and what it knows of names: --network, --ip, --link, --dns, --add-host …"""

from __future__ import annotations

from sampan.cli.create.csv_fields import fields
from sampan.cli.create.ports import is_address
from sampan.client.documents import text_of, texts_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sampan.cli.options import Parsed
    from sampan.client.documents import Document

_NOT_NETWORKS = frozenset(("default", "bridge", "host", "none"))


def host_entry(text: str) -> str:
    """NAME:IP from NAME:IP or NAME=IP, an IPv6 address with or without brackets, or host-gateway."""
    name, separator, address = text.partition("=")
    if not separator:
        name, separator, address = text.partition(":")
    if not separator or not name or ":" in name:
        raise ValueError(f'bad format for add-host: "{text}"')
    if address != "host-gateway":
        if len(address) > 2 and address.startswith("[") and address.endswith("]"):
            address = address[1:-1]
        if not is_address(address):
            raise ValueError(f'invalid IP address in add-host: "{address}"')
    return f"{name}:{address}"


def name_server(text: str) -> str:
    """An IP address."""
    if not is_address(text.strip()):
        raise ValueError(f"IP address is not correctly formatted: {text}")
    return text.strip()


any_address = name_server


def search_domain(text: str) -> str:
    """A domain name; "." alone turns searching off."""
    domain = text.strip()
    if domain == ".":
        return domain
    allowed = all(part and part[0] != "-" and part[-1] != "-" for part in domain.split("."))
    if not allowed or any(not (letter.isascii() and (letter.isalnum() or letter in "-._")) for letter in domain):
        raise ValueError(f"{text} is not a valid domain")
    return domain


def link(text: str) -> str:
    """NAME or NAME:ALIAS."""
    if not text:
        raise ValueError("empty string specified for links")
    if text.count(":") > 1:
        raise ValueError(f"bad format for links: {text}")
    return text


def attachment(text: str) -> Document:
    """One --network: its target alone, or name=…,alias=…,ip=… and so on."""
    name, equals, _ = text.partition("=")
    if not equals or not name or not (name[-1].isalnum() or name[-1] == "_") or text.endswith("="):
        return {"Target": text}
    found: Document = {"Target": "", "Aliases": []}
    for field in fields(text):
        key, separator, value = field.lower().partition("=")
        if not separator or not key:
            raise ValueError(f"invalid field {field}")
        _set_attachment(found, key.strip(), value.strip())
    if not found["Target"]:
        raise ValueError("network name/id is not specified")
    return found


def _set_attachment(found: Document, key: str, value: str) -> None:
    if key == "name":
        found["Target"] = value
    elif key in ("alias", "link-local-ip"):
        name = "Aliases" if key == "alias" else "LinkLocalIPs"
        found[name] = [*texts_of(found, name), value]
    elif key in ("ip", "ip6", "mac-address"):
        found[{"ip": "IPv4", "ip6": "IPv6", "mac-address": "Mac"}[key]] = value
    elif key == "driver-opt":
        name, separator, content = value.partition("=")
        if not separator or not name:
            raise ValueError("invalid key value pair format in driver options")
        options = found.setdefault("DriverOpts", {})
        assert isinstance(options, dict)
        options[name.strip()] = content.strip()
    elif key == "gw-priority":
        try:
            found["GwPriority"] = int(value)
        except ValueError:
            raise ValueError(f"invalid gw-priority ({value}): invalid syntax") from None
    else:
        raise ValueError(f"invalid field key {key}")


def endpoints(parsed: Parsed) -> Document:
    """NetworkingConfig.EndpointsConfig. ValueError where two options say the same thing, in Docker's words."""
    chosen = parsed.documents("network")
    found: Document = {}
    if not chosen:
        found["default"] = _endpoint(_with_options({"Target": "default"}, parsed))
        return found
    kinds = {_is_user_defined(text_of(one, "Target")) for one in chosen}
    for position, one in enumerate(chosen):
        target = text_of(one, "Target")
        endpoint = _endpoint(_with_options(one, parsed) if position == 0 else one)
        if target in found:
            raise ValueError(f'network "{target}" is specified multiple times')
        if len(chosen) == 1 and _is_plain(endpoint):
            continue
        found[target] = endpoint
    if len(kinds) > 1:
        raise ValueError("conflicting options: cannot attach both user-defined and non-user-defined network-modes")
    return found


def _is_user_defined(name: str) -> bool:
    return name not in _NOT_NETWORKS and not name.startswith("container:")


_PAIRS = (
    ("Aliases", "network-alias", "--network-alias and per-network alias"),
    ("IPv4", "ip", "--ip and per-network IPv4 address"),
    ("IPv6", "ip6", "--ip6 and per-network IPv6 address"),
    ("Mac", "mac-address", "--mac-address and per-network MAC address"),
    ("LinkLocalIPs", "link-local-ip", "--link-local-ip and per-network link-local IP addresses"),
)


def _with_options(one: Document, parsed: Parsed) -> Document:
    merged = dict(one)
    for key, option, both in _PAIRS:
        given = parsed.many(option) if key in ("Aliases", "LinkLocalIPs") else parsed.text(option)
        if not given:
            continue
        if one.get(key):
            raise ValueError(f"conflicting options: cannot specify both {both}")
        merged[key] = given if isinstance(given, str) else [*given]
    if parsed.many("link") and _is_user_defined(text_of(one, "Target")):
        merged["Links"] = [*parsed.many("link")]
    return merged


def _endpoint(one: Document) -> Document:
    target = text_of(one, "Target")
    if not target.strip():
        raise ValueError("no name set for network")
    if not _is_user_defined(target):
        if texts_of(one, "Aliases"):
            raise ValueError("network-scoped aliases are only supported for user-defined networks")
        if texts_of(one, "Links"):
            raise ValueError("links are only supported for user-defined networks")
    mac = text_of(one, "Mac")
    if mac and not is_mac(mac):
        raise ValueError(f"{mac} is not a valid mac address")
    ipam: Document = {}
    for key, source in (("IPv4Address", "IPv4"), ("IPv6Address", "IPv6")):
        if one.get(source):
            ipam[key] = one[source]
    if texts_of(one, "LinkLocalIPs"):
        ipam["LinkLocalIPs"] = one["LinkLocalIPs"]
    return {
        "IPAMConfig": ipam or None,
        "Links": one.get("Links") or None,
        "Aliases": one.get("Aliases") or None,
        "MacAddress": mac,
        "DriverOpts": one.get("DriverOpts") or None,
        "GwPriority": one.get("GwPriority") or 0,
    }


def _is_plain(endpoint: Document) -> bool:
    return not any(endpoint.values())


def is_mac(text: str) -> bool:
    """Whether `text` is six bytes in hex with colons or dashes between them."""
    for separator in (":", "-"):
        parts = text.strip().split(separator)
        if len(parts) == 6:
            return all(len(part) == 2 and all(digit in "0123456789abcdefABCDEF" for digit in part) for part in parts)
    return False
