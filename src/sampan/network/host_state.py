"""What of the host's network settings is read and set: sysctls, and the networks that are in use already."""

from __future__ import annotations

import ipaddress
import os
import socket
from typing import TYPE_CHECKING

from sampan.kernel import rtnetlink
from sampan.network import resolvconf
from sampan.network.ipam import Subnet

if TYPE_CHECKING:
    from collections.abc import Collection

    from sampan.kernel.netlink import Netlink

_ROOT = "/proc/sys/net/"
_LOCAL_TABLE = 255
_FILE_LIMIT = 256 * 1024
# Kinds of link whose presence says that somebody else forwards packets here.
_FORWARDERS = frozenset(("bridge", "tun", "wireguard", "vxlan", "ipip", "gre", "macvlan", "ipvlan", "vrf"))


def read_sysctl(name: str) -> str | None:
    """A value below net/ (`ipv4/ip_forward`); None where this kernel has it not."""
    try:
        with open(_ROOT + name) as file:
            return file.read().strip()
    except FileNotFoundError:
        return None


def write_sysctl(name: str, value: str) -> bool:
    """Set a value below net/ unless it is so already; whether it was changed. FileNotFoundError where it is not known."""
    if read_sysctl(name) == value:
        return False
    descriptor = os.open(_ROOT + name, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, value.encode())
    finally:
        os.close(descriptor)
    return True


def has_ipv6() -> bool:
    """Whether the host's kernel speaks IPv6 at all (it may be started with ipv6.disable=1)."""
    return os.path.exists(_ROOT + "ipv6/conf/all/forwarding")


def networks_in_use(route: Netlink, except_link: int = 0, version: int = 4) -> list[Subnet]:
    """The networks that some address or route of the host lies in, and its name servers, however they are reached.

    Default routes, those of `except_link`, and IPv6's link-local and multicast ones, which every link has, are left out.
    """
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    found = {
        _network(address.address, address.prefix)
        for address in rtnetlink.addresses(route, family)
        if address.index != except_link
    }
    found |= {
        _network(entry.destination, entry.prefix)
        for entry in rtnetlink.routes(route, family)
        if entry.prefix and entry.table != _LOCAL_TABLE and (entry.index == 0 or entry.index != except_link)
    }
    found |= _servers(version)
    if version == 6:
        found = {one for one in found if not one.is_link_local and not one.is_multicast and not one.is_loopback}
    return sorted(found, key=lambda one: (int(one.network_address), one.prefixlen))


def _servers(version: int) -> set[Subnet]:
    """The host's name servers, each a network by itself: a subnet over one would cut the host off it, as Docker has it."""
    resolver = _resolver(resolvconf.HOST_FILE)
    if resolvconf.uses_stub(resolver):
        resolver = _resolver(resolvconf.RESOLVED_FILE)
    addresses = (ipaddress.ip_address(server.partition("%")[0]) for server in resolver.servers)
    return {ipaddress.ip_network(one) for one in addresses if one.version == version}


def _resolver(path: str) -> resolvconf.Resolver:
    try:
        with open(path, errors="replace") as file:
            return resolvconf.parse(file.read(_FILE_LIMIT))
    except OSError:
        # Missing, or not to be read: as if nothing stood in it (resolv.conf(5)).
        return resolvconf.Resolver()


def others_forward(route: Netlink, ours: Collection[int], version: int = 4) -> bool:
    """Whether the host has a link that is not ours, up, of a kind that lives from forwarding (bridges, tunnels).

    For IPv6 only those count that have an address in it: most bridges have none.
    """
    found = {
        link.index for link in rtnetlink.links(route) if link.up and link.kind in _FORWARDERS and link.index not in ours
    }
    if version == 4 or not found:
        return bool(found)
    addresses = rtnetlink.addresses(route, socket.AF_INET6)
    return any(one.index in found and not _network(one.address, 128).is_link_local for one in addresses)


def _network(address: bytes, prefix: int) -> Subnet:
    return ipaddress.ip_network((address, prefix), strict=False)
