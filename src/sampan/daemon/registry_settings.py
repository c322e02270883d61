"""What daemon.json says of registries: checked as dockerd does it, handed to the client, and shown by `info`.

Source: moby's registry/config.go (`ValidateMirror`, `loadInsecureRegistries`), daemon/info.go (proxies).
"""

import ipaddress
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from sampan.errors import InvalidParameter
from sampan.registry.names import HUB, HUB_INDEX_NAME
from sampan.registry.proxying import masked
from sampan.registry.settings import Network, Proxies, Settings
from sampan.spec import system as s

_COMPONENT = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?"
_HOST_PORT = re.compile(rf"(?:{_COMPONENT}(?:\.{_COMPONENT})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?")
_LOOPBACK = (ipaddress.ip_network("::1/128"), ipaddress.ip_network("127.0.0.0/8"))


def mirrors(given: tuple[str, ...]) -> tuple[str, ...]:
    """`registry-mirrors`, each once and with a slash at its end. Raises InvalidParameter in dockerd's words."""
    return tuple(dict.fromkeys(_mirror(url) for url in given))


def _mirror(url: str) -> str:
    scheme, separator, _ = url.partition("://")
    if not separator or not scheme:
        raise InvalidParameter(
            f"invalid mirror: no scheme specified for \"{url}\": must use either 'https://' or 'http://'"
        )
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise InvalidParameter(f'invalid mirror: "{url}" is not a valid URI: {error}') from error
    if parts.scheme not in ("http", "https"):
        raise InvalidParameter(
            f"invalid mirror: unsupported scheme \"{scheme}\" in \"{url}\": must use either 'https://' or 'http://'"
        )
    if parts.query or parts.fragment:
        raise InvalidParameter(f'invalid mirror: query or fragment at end of the URI "{url}"')
    if parts.username is not None:
        shown = url.replace(parts.netloc, f"{parts.username}:xxxxx@{parts.netloc.rpartition('@')[2]}", 1)
        raise InvalidParameter(f'invalid mirror: username/password not allowed in URI "{shown}"')
    if not parts.netloc or not url.isascii() or not url.isprintable():
        raise InvalidParameter(f'invalid mirror: "{url}" is not a valid URI')
    return url.removesuffix("/") + "/"


def insecure(given: tuple[str, ...]) -> tuple[frozenset[str], tuple[Network, ...]]:
    """(names, networks) of `insecure-registries`, loopback's not among them. Raises InvalidParameter in dockerd's words."""
    names: set[str] = set()
    networks: list[Network] = []
    for entry in given:
        name = HUB if entry == HUB_INDEX_NAME else entry
        if name.startswith("-") or name.endswith("-"):
            raise InvalidParameter(f"invalid index name ({name}). Cannot begin or end with a hyphen")
        scheme, separator, rest = name.partition("://")
        if separator:
            if scheme.lower() not in ("http", "https"):
                raise InvalidParameter(f"insecure registry {name} should not contain '://'")
            name = rest
        network = _network(name)
        if network is None:
            _check_host_port(name)
            names.add(name)
        elif network not in (*networks, *_LOOPBACK):
            networks.append(network)
    return frozenset(names), tuple(networks)


def _network(text: str) -> Network | None:
    try:
        return ipaddress.ip_network(text, strict=False) if "/" in text else None
    except ValueError:
        return None


def _check_host_port(text: str) -> None:
    host, separator, port = text.rpartition(":")
    if not separator or "]" in port:
        host, port = text, ""
    if not _HOST_PORT.fullmatch(text) and not _is_address(host):
        raise InvalidParameter(f'insecure registry {text} is not valid: invalid host "{host}"')
    if port.isdecimal() and int(port) > 65535:
        raise InvalidParameter(f'insecure registry {text} is not valid: invalid port "{port}"')


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def proxies(configured: Proxies, environ: Mapping[str, str]) -> Proxies:
    """The configuration's, and for each that it leaves out the environment's, in capitals first."""

    def of(name: str) -> str:
        return environ.get(name) or environ.get(name.lower(), "")

    return Proxies(
        configured.http or of("HTTP_PROXY"),
        configured.https or of("HTTPS_PROXY"),
        configured.no_proxy or of("NO_PROXY"),
    )


def settings(
    registry_mirrors: tuple[str, ...], insecure_registries: tuple[str, ...], chosen: Proxies, config_folder: Path
) -> Settings:
    """For the client. Certificates are looked for in `certs.d` beside daemon.json, then in Docker's place."""
    names, networks = insecure(insecure_registries)
    places = (config_folder / "certs.d", Path("/etc/docker/certs.d"))
    return Settings(registry_mirrors, names, networks, chosen, tuple(dict.fromkeys(places)))


def shown(known: Settings) -> s.RegistryServiceConfig:
    """`info`'s RegistryConfig."""
    hub = s.IndexInfo(name=HUB, mirrors=known.mirrors, secure=True, official=True)
    named = {name: s.IndexInfo(name=name, mirrors=(), secure=False, official=False) for name in known.insecure_names}
    return s.RegistryServiceConfig(
        insecure_registry_cidrs=tuple(str(network) for network in (*known.insecure_networks, *_LOOPBACK)),
        index_configs={**named, HUB: hub},
        mirrors=known.mirrors or None,
    )


def shown_proxies(known: Proxies) -> Proxies:
    """Without names and passwords."""
    return Proxies(masked(known.http), masked(known.https), known.no_proxy)
