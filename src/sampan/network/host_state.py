"""What of the host's network settings is read and set: sysctls, and the networks that are in use already."""

from __future__ import annotations

import ipaddress
import os
from typing import TYPE_CHECKING

from sampan.kernel import rtnetlink

if TYPE_CHECKING:
    from sampan.kernel.netlink import Netlink

_ROOT = "/proc/sys/net/"
_LOCAL_TABLE = 255
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


def networks_in_use(route: Netlink, except_link: int = 0) -> list[ipaddress.IPv4Network]:
    """The networks that some address or route of the host lies in, default routes and those of `except_link` left out."""
    found = {
        _network(address.address, address.prefix)
        for address in rtnetlink.addresses(route)
        if address.index != except_link
    }
    found |= {
        _network(entry.destination, entry.prefix)
        for entry in rtnetlink.routes(route)
        if entry.prefix and entry.table != _LOCAL_TABLE and (entry.index == 0 or entry.index != except_link)
    }
    return sorted(found)


def others_forward(route: Netlink, except_link: int) -> bool:
    """Whether the host has another link, up, of a kind that lives from forwarding (bridges, tunnels)."""
    return any(link.up and link.kind in _FORWARDERS and link.index != except_link for link in rtnetlink.links(route))


def _network(address: bytes, prefix: int) -> ipaddress.IPv4Network:
    return ipaddress.IPv4Network((int.from_bytes(address, "big"), prefix), strict=False)
