"""Where a registry is: the hosts to ask for it, in order, and how much each is trusted.

    docker.io      ──▶ its mirrors, registry-1.docker.io
    any registry   ──▶ what its hosts.toml says, else itself by TLS; an insecure one then in clear text

Source: moby's registry/service_v2.go and config.go; containerd's docs/hosts.md.
"""

import ipaddress
import socket
from dataclasses import dataclass, field, replace
from enum import Flag, auto
from pathlib import Path

from sampan.registry.names import HUB, HUB_HOST, HUB_NAMES
from sampan.registry.settings import Network, Settings

_LOOPBACK: tuple[Network, ...] = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))


class Capability(Flag):
    """What a host may be asked for."""

    PULL = auto()
    RESOLVE = auto()
    PUSH = auto()
    ALL = PULL | RESOLVE | PUSH


@dataclass(frozen=True, slots=True)
class Trust:
    """How a host proves who it is, and how we do. `authorities` are added to the system's."""

    verify: bool = True
    authorities: tuple[Path, ...] = ()
    clients: tuple[tuple[Path, Path], ...] = ()
    """certificate and key; the key may be in the certificate's file"""


@dataclass(frozen=True, slots=True)
class Host:
    """One place to ask. `address` is `host` or `host:port`; `base` stands before `/manifests/…` and ends without a slash."""

    scheme: str
    address: str
    base: str = "/v2"
    trust: Trust = Trust()
    insecure: bool = False
    """the configuration allows clear text and unproven names"""
    mirror: bool = False
    own: bool = True
    """it is the registry itself: its users' credentials are for it"""
    capabilities: Capability = Capability.ALL
    headers: tuple[tuple[str, str], ...] = field(default=())

    @property
    def origin(self) -> str:
        """`https://host:port`."""
        return f"{self.scheme}://{self.address}"

    @property
    def url(self) -> str:
        """`https://host:port/v2`."""
        return self.origin + self.base

    def in_clear_text(self) -> "Host":
        """The same without TLS."""
        return replace(self, scheme="http")


class Hosts:
    """Knows the hosts of every registry."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def pulling(self, domain: str) -> tuple[Host, ...]:
        """Mirrors first, the registry itself last."""
        if domain in HUB_NAMES:
            return (*(self._mirror(url) for url in self._settings.mirrors), self.registry(HUB_HOST))
        return (self.registry(domain),)

    def pushing(self, domain: str) -> tuple[Host, ...]:
        """Never a mirror."""
        return (self.registry(HUB_HOST if domain == HUB else domain),)

    def registry(self, address: str) -> Host:
        """The host of that name itself."""
        insecure = self.is_insecure(address)
        return Host("https", address, trust=Trust(verify=not insecure), insecure=insecure)

    def led_to(self, host: Host, scheme: str, address: str) -> Host:
        """Another place that `host` leads to, by a redirect or as its realm. Where `host` must prove its name, so must that."""
        place = self.registry(address)
        verify = place.trust.verify or not (host.insecure or address in self._settings.insecure_names)
        trust = replace(place.trust, verify=verify)
        return replace(place, scheme=scheme, trust=trust, insecure=host.insecure, own=False)

    def _mirror(self, url: str) -> Host:
        scheme, _, rest = url.rpartition("://")
        address, _, path = rest.partition("/")
        host = self.registry(address)
        base = "/" + path.strip("/") + "/v2" if path.strip("/") else "/v2"
        return replace(host, scheme=scheme or "https", base=base, mirror=True, own=False)

    def is_insecure(self, address: str) -> bool:
        """Whether the configuration says so: by name, or by the network that its address is in."""
        if address in self._settings.insecure_names:
            return True
        name = _without_port(address)
        if name == "localhost" or name.endswith(".localhost"):
            return True
        try:
            return _within(ipaddress.ip_address(name), (*_LOOPBACK, *self._settings.insecure_networks))
        except ValueError:
            # The loopback networks are not asked about a looked-up name: whoever answers it would choose who is unverified.
            return any(_within(one, self._settings.insecure_networks) for one in self._looked_up(name))

    def _looked_up(self, name: str) -> list[ipaddress.IPv4Address | ipaddress.IPv6Address]:
        if not self._settings.insecure_networks:
            return []
        try:
            found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
        except OSError:
            return []
        return [ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]


def _within(address: ipaddress.IPv4Address | ipaddress.IPv6Address, networks: tuple[Network, ...]) -> bool:
    return any(address.version == network.version and address in network for network in networks)


def _without_port(address: str) -> str:
    if address.startswith("["):
        return address[1:].partition("]")[0]
    return address.partition(":")[0]
