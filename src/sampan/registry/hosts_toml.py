"""containerd's `hosts.toml`: where a registry's content may be had, mirror by mirror, and how each is trusted.

Source: containerd's docs/hosts.md and core/remotes/docker/config/hosts.go.
"""

from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import msgspec

from sampan.errors import System
from sampan.registry.host import Capability, Host, Trust

_LIMIT = 1 << 20
_CAPABILITIES = {"pull": Capability.PULL, "resolve": Capability.RESOLVE, "push": Capability.PUSH}
_HEADER_NAME = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")]
_HEADER_VALUE = Annotated[str, msgspec.Meta(pattern=r"^[ -~]*$")]


class _Entry(msgspec.Struct, frozen=True):
    """What is said of one host."""

    capabilities: list[str] | None = None
    ca: str | list[str] | None = None
    client: str | list[str | list[str]] | None = None
    skip_verify: bool = False
    override_path: bool = False
    header: dict[_HEADER_NAME, _HEADER_VALUE | list[_HEADER_VALUE]] | None = None


class _File(_Entry, frozen=True):
    """The file: the upstream server's entry, and those of hosts to ask before it."""

    server: str = ""
    host: dict[str, _Entry] | None = None


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
        known = msgspec.convert(tomllib.loads(raw.decode()), _File)
        mirrors = [_host(file, own, url, entry, mirror=True) for url, entry in (known.host or {}).items()]
        server = _host(file, own, known.server or own.origin, known, mirror=False)
    except OSError as error:
        raise System(f"open {file}: {(error.strerror or '').lower()}") from error
    except (ValueError, msgspec.ValidationError) as error:
        raise System(f"invalid {file}: {error}") from error
    return (*mirrors, server)


def _host(file: Path, own: Host, url: str, entry: _Entry, *, mirror: bool) -> Host:
    parts = urlsplit(url if "://" in url else f"https://{url}")
    if parts.scheme not in ("http", "https") or not parts.netloc or "@" in parts.netloc or parts.query:
        raise ValueError(f"invalid host {url!r}")
    address = parts.netloc.lower()
    same = address == own.address
    trust = Trust(
        verify=not entry.skip_verify and (own.trust.verify or not same),
        authorities=(*(own.trust.authorities if same else ()), *(file.parent / name for name in _texts(entry.ca))),
        clients=(*(own.trust.clients if same else ()), *_clients(file.parent, entry.client)),
    )
    return Host(
        scheme=parts.scheme,
        address=address,
        base=_base(parts.path.rstrip("/"), entry.override_path),
        trust=trust,
        insecure=parts.scheme == "http" or (same and own.insecure),
        mirror=mirror,
        own=same,
        capabilities=_capabilities(entry.capabilities),
        headers=tuple((name, ", ".join(_texts(value))) for name, value in (entry.header or {}).items()),
    )


def _base(path: str, override: bool) -> str:
    return path if override or path.endswith("/v2") else f"{path}/v2"


def _capabilities(names: list[str] | None) -> Capability:
    if not names:
        return Capability.ALL
    found = Capability(0)
    for name in names:
        if name.lower() not in _CAPABILITIES:
            raise ValueError(f"unknown capability {name!r}")
        found |= _CAPABILITIES[name.lower()]
    return found


def _texts(value: str | list[str] | None) -> list[str]:
    return [value] if isinstance(value, str) else value or []


def _clients(place: Path, value: str | list[str | list[str]] | None) -> list[tuple[Path, Path]]:
    """One file with both, several such files, or pairs of certificate and key."""
    pairs = []
    for one in [value] if isinstance(value, str) else value or []:
        files = [one] if isinstance(one, str) else one
        if len(files) not in (1, 2):
            raise ValueError(f"invalid client {files!r}: a certificate and its key")
        pairs.append((place / files[0], place / (files[1] if len(files) == 2 and files[1] else files[0])))
    return pairs
