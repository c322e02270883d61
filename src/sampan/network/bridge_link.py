"""The link of a bridge network on the host: found again or made, with the addresses and settings that it should have.

It outlives the daemon and is found again by its name and alias (`sampan <instance>`). docs/networking.md says what is set on it
and why.
"""

from __future__ import annotations

import errno
import ipaddress
import socket
from typing import TYPE_CHECKING

from sampan.kernel import rtnetlink
from sampan.network.host_state import networks_in_use, write_sysctl
from sampan.network.ipam import bounds, first_free_pool, mac_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from sampan.kernel.rtnetlink import Link
    from sampan.network.bridge_settings import BridgeSettings
    from sampan.network.ground import Ground
    from sampan.network.ipam import Subnet
    from sampan.network.options import Interface

_CHOICES = 8
_FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}


class BridgeLink:
    """`reserved` tells which subnets belong to networks whose links may not be there yet. Raises OSError throughout."""

    def __init__(self, settings: BridgeSettings, ground: Ground, reserved: Callable[[], Iterable[Subnet]]) -> None:
        self._settings = settings
        self._ground = ground
        self._route = ground.route
        self._reserved = reserved
        self.name = ""
        self.index = 0

    def open(self) -> dict[int, Interface]:
        """Make it what it should be; its own addresses, by version, are the gateways of the containers."""
        link = self._find()
        families = {version: one for version, one in self._settings.families().items() if one.has_address}
        for _ in range(_CHOICES):
            present = {version: self._present_address(link, version) for version in (4, 6)}
            wanted: dict[int, Interface] = {}
            for version, one in families.items():
                wanted[version] = one.interface or present[version] or self._choose(version)
            link = link or self._create(wanted)
            self._dress(link, present, wanted)
            lost = [
                version
                for version, one in families.items()
                if not one.interface and not present[version] and self._yields(wanted[version])
            ]
            if not lost:
                return wanted
            self._route.request_all(
                [
                    rtnetlink.remove_address_message(self.index, wanted[one].ip.packed, wanted[one].network.prefixlen)
                    for one in lost
                ]
            )
        raise OSError(errno.EADDRINUSE, "no subnet stayed free while it was taken")

    def _find(self) -> Link | None:
        """Our bridge; sets `name`, to one that is ours or free."""
        free = ""
        for name in self._settings.links:
            link = rtnetlink.link_by_name(self._route, name)
            if link is not None and self._ground.is_ours(link):
                self.name, self.index = name, link.index
                return link
            if link is None:
                free = free or name
        if not free:
            raise OSError(errno.EEXIST, f"the link {self._settings.links[-1]} exists and is not this instance's")
        self.name = free
        return None

    def _create(self, wanted: Mapping[int, Interface]) -> Link:
        seed = next((str(interface.ip) for interface in wanted.values()), "")
        mac = bytes.fromhex(mac_of(seed).replace(":", "")) if seed else b""
        self._route.request_all(
            [
                rtnetlink.bridge_message(self.name, mac, self._settings.mtu),
                rtnetlink.alias_message(self.name, self._ground.label),
            ]
        )
        link = rtnetlink.link_by_name(self._route, self.name)
        if link is None:
            raise OSError(errno.ENODEV, f"the bridge {self.name} went away while it was made")
        self.index = link.index
        return link

    def _dress(self, link: Link, present: Mapping[int, Interface | None], wanted: Mapping[int, Interface]) -> None:
        self._settle_ipv6(speaks=6 in wanted)
        messages = []
        for version in (4, 6):
            before, after = present[version], wanted.get(version)
            if before is not None and before != after:
                messages.append(
                    rtnetlink.remove_address_message(link.index, before.ip.packed, before.network.prefixlen)
                )
            if after is not None and before != after:
                messages.append(rtnetlink.address_message(link.index, after.ip.packed, after.network.prefixlen))
        self._route.request_all([*messages, rtnetlink.up_message(link.index, mtu=self._settings.mtu)])
        # Lets the host's own 127.0.0.1:port reach a container; the table drops what others would make of it.
        write_sysctl(f"ipv4/conf/{self.name}/route_localnet", "1")
        # Isolated ports do not hear each other's questions: the host answers for everybody, at once, and its rules decide.
        write_sysctl(f"ipv4/conf/{self.name}/proxy_arp_pvlan", "0" if self._settings.icc else "1")
        write_sysctl(f"ipv4/neigh/{self.name}/proxy_delay", "80" if self._settings.icc else "0")

    def _settle_ipv6(self, speaks: bool) -> None:
        """Before it comes up: no advertisement is heard, no address searched for duplicates; without IPv6 there is none at all."""
        conf = f"ipv6/conf/{self.name}"
        try:
            if speaks:
                for name in ("accept_ra", "autoconf", "accept_dad"):
                    write_sysctl(f"{conf}/{name}", "0")
            write_sysctl(f"{conf}/disable_ipv6", "0" if speaks else "1")
        except FileNotFoundError:
            if speaks:
                raise  # a kernel without IPv6

    def _present_address(self, link: Link | None, version: int) -> Interface | None:
        if link is None:
            return None
        for address in rtnetlink.addresses(self._route, _FAMILIES[version]):
            if address.index == link.index:
                found = ipaddress.ip_interface((address.address, address.prefix))
                # Every link that speaks IPv6 has a link-local one.
                if not (version == 6 and found.is_link_local and not self._is_wanted(found)):
                    return found
        return None

    def _is_wanted(self, interface: Interface) -> bool:
        return any(one.interface == interface for one in self._settings.families().values())

    def _choose(self, version: int) -> Interface:
        """The first subnet of the pools that overlaps nothing of the host's; its first address."""
        taken = [*networks_in_use(self._route, self.index, version), *self._reserved()]
        for pool in self._settings.families()[version].pools:
            subnet = first_free_pool(pool.base, pool.size, taken)
            if subnet is not None:
                return ipaddress.ip_interface(f"{subnet[bounds(subnet)[0] - int(subnet.network_address)]}/{pool.size}")
        raise OSError(errno.EADDRNOTAVAIL, "all predefined address pools have been fully subnetted")

    def _yields(self, wanted: Interface) -> bool:
        """Whether another took the same subnet in the same moment and was first: the lower index keeps it."""
        return any(
            address.index not in (0, self.index)
            and address.index < self.index
            and ipaddress.ip_address(address.address) in wanted.network
            for address in rtnetlink.addresses(self._route, _FAMILIES[wanted.version])
        )
