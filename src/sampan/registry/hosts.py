"""Where a registry is: the hosts to ask for it, in order, and how much each is trusted.

    docker.io      ──▶ its mirrors, registry-1.docker.io
    any registry   ──▶ what its hosts.toml says, else itself by TLS; an insecure one then in clear text

Source: moby's registry/service_v2.go and config.go; containerd's docs/hosts.md.
"""

import ipaddress
import socket
from dataclasses import replace

from sampan.registry import certs_d, hosts_toml
from sampan.registry.host import Host, Trust
from sampan.registry.names import HUB, HUB_HOST, HUB_NAMES
from sampan.registry.settings import Network, Settings

_LOOPBACK: tuple[Network, ...] = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))


class Hosts:
    """Knows the hosts of every registry."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def pulling(self, domain: str) -> tuple[Host, ...]:
        """Mirrors first, the registry itself last. Raises System for certificates or a hosts.toml that cannot be read."""
        hub = domain in HUB_NAMES
        own = self.registry(HUB_HOST if hub else domain)
        place = certs_d.folder(self._settings.certificates, HUB if hub else domain)
        hosts: tuple[Host, ...] = (own,)
        if place is not None and (file := place / "hosts.toml").exists():
            hosts = hosts_toml.read(file, own)
        return (*(self._mirror(url) for url in self._settings.mirrors), *hosts) if hub else hosts

    def pushing(self, domain: str) -> tuple[Host, ...]:
        """The registry itself, never a mirror."""
        return self.pulling(domain)[-1:]

    def registry(self, address: str) -> Host:
        """The host of that name itself."""
        insecure = self.is_insecure(address)
        place = certs_d.folder(self._settings.certificates, address)
        authorities, clients = certs_d.certificates(place) if place is not None else ((), ())
        return Host("https", address, trust=Trust(not insecure, authorities, clients), insecure=insecure)

    def led_to(self, host: Host, scheme: str, address: str) -> Host:
        """Another place that `host` leads to, by a redirect or as its realm. Where `host` must prove its name, so must that."""
        place = self.registry(address)
        verify = place.trust.verify or not (host.insecure or address in self._settings.insecure_names)
        trust = replace(place.trust, verify=verify)
        return replace(place, scheme=scheme, trust=trust, insecure=host.insecure, own=False)

    def _mirror(self, url: str) -> Host:
        scheme, _, rest = url.rpartition("://")
        address, _, path = rest.partition("/")
        host = self.registry(address.lower())
        base = "/" + path.strip("/") + "/v2" if path.strip("/") else "/v2"
        insecure = host.insecure or scheme == "http"
        return replace(host, scheme=scheme or "https", base=base, insecure=insecure, mirror=True, own=False)

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
