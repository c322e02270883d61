"""containerd's `hosts.toml`: where a registry's content may be had, mirror by mirror, and how each is trusted.

Source: containerd's docs/hosts.md and core/remotes/docker/config/hosts.go.
"""

import re
from pathlib import Path
from urllib.parse import urlsplit

from sampan.errors import System
from sampan.registry.host import Capability, Host, Trust

_LIMIT = 1 << 20
_CAPABILITIES = {"pull": Capability.PULL, "resolve": Capability.RESOLVE, "push": Capability.PUSH}
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_HEADER_VALUE = re.compile(r"[ -~]*")

Table = dict[str, object]
"""A table of the file. Read member by member and not into msgspec's structs: with these unions msgspec 0.22 crashes at the
interpreter's end, one time in four."""


def read(file: Path, own: Host) -> tuple[Host, ...]:
    """The hosts of a file, in its order, the server last. `own` is the registry itself, as it is without the file.

    Credentials are for the host of exactly that name only. Raises System that names the file where it cannot be read.
    """
    import tomllib

    try:
        with file.open("rb") as stream:
            raw = stream.read(_LIMIT + 1)
        if len(raw) > _LIMIT:
            raise System(f"{file} is longer than {_LIMIT} bytes")
        known: Table = tomllib.loads(raw.decode())
        mirrors = [_host(file, own, url, _table(entry, url), mirror=True) for url, entry in _named(known, "host")]
        server = _host(file, own, _text(known, "server") or own.origin, known, mirror=False)
    except OSError as error:
        raise System(f"open {file}: {(error.strerror or '').lower()}") from error
    except (ValueError, RecursionError) as error:
        raise System(f"invalid {file}: {error}") from error
    return (*mirrors, server)


def _host(file: Path, own: Host, url: str, entry: Table, *, mirror: bool) -> Host:
    parts = urlsplit(url if "://" in url else f"https://{url}")
    if parts.scheme not in ("http", "https") or not parts.netloc or "@" in parts.netloc or parts.query:
        raise ValueError(f"invalid host {url!r}")
    address = parts.netloc.lower()
    same = address == own.address
    trust = Trust(
        verify=not _flag(entry, "skip_verify") and (own.trust.verify or not same),
        authorities=(
            *(own.trust.authorities if same else ()),
            *(file.parent / name for name in _texts(entry.get("ca"), "ca")),
        ),
        clients=(*(own.trust.clients if same else ()), *_clients(file.parent, entry.get("client"))),
    )
    return Host(
        scheme=parts.scheme,
        address=address,
        base=_base(parts.path.rstrip("/"), _flag(entry, "override_path")),
        trust=trust,
        insecure=parts.scheme == "http" or (same and own.insecure),
        mirror=mirror,
        own=same,
        capabilities=_capabilities(_texts(entry.get("capabilities"), "capabilities")),
        headers=_headers(entry),
    )


def _base(path: str, override: bool) -> str:
    return path if override or path.endswith("/v2") else f"{path}/v2"


def _capabilities(names: list[str]) -> Capability:
    if not names:
        return Capability.ALL
    found = Capability(0)
    for name in names:
        if name.lower() not in _CAPABILITIES:
            raise ValueError(f"unknown capability {name!r}")
        found |= _CAPABILITIES[name.lower()]
    return found


def _headers(entry: Table) -> tuple[tuple[str, str], ...]:
    headers = tuple((name, ", ".join(_texts(value, name))) for name, value in _named(entry, "header"))
    for name, value in headers:
        if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
            raise ValueError(f"invalid header {name!r}")
    return headers


def _clients(place: Path, value: object) -> list[tuple[Path, Path]]:
    """One file with both, several such files, or pairs of certificate and key."""
    pairs = []
    for one in value if isinstance(value, list) else [value] if value is not None else []:
        files = _texts(one, "client")
        if len(files) not in (1, 2):
            raise ValueError(f"invalid client {files!r}: a certificate and its key")
        pairs.append((place / files[0], place / (files[1] if len(files) == 2 and files[1] else files[0])))
    return pairs


# ---- members and their types


def _texts(value: object, name: str) -> list[str]:
    """One string, or a list of them."""
    values = value if isinstance(value, list) else [value] if value is not None else []
    texts = [one for one in values if isinstance(one, str)]
    if len(texts) != len(values):
        raise ValueError(f"{name} is neither a string nor a list of strings")
    return texts


def _text(table: Table, name: str) -> str:
    value = table.get(name, "")
    if not isinstance(value, str):
        raise ValueError(f"{name} is no string")
    return value


def _flag(table: Table, name: str) -> bool:
    value = table.get(name, False)
    if not isinstance(value, bool):
        raise ValueError(f"{name} is neither true nor false")
    return value


def _table(value: object, name: str) -> Table:
    if not isinstance(value, dict):
        raise ValueError(f"{name} is no table")
    return value


def _named(table: Table, name: str) -> list[tuple[str, object]]:
    """What a table within `table` holds, in its order."""
    return list(_table(table.get(name, {}), name).items())
