"""A bridge network: a link of the host with a subnet, and the places that containers get in it.

The link outlives the daemon and is found again by its name and alias (`sampan <instance>`). What it stands on (forwarding, rules)
is `ground`'s. docs/networking.md says what is set on the host and why.
"""

from __future__ import annotations

import errno
import ipaddress
import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sampan.errors import Forbidden, InvalidParameter, System
from sampan.kernel import rtnetlink
from sampan.network.driver import NetworkFacts, Wish
from sampan.network.endpoint import Endpoint, host_link_name
from sampan.network.firewall import Zone
from sampan.network.host_state import networks_in_use, read_sysctl, write_sysctl
from sampan.network.ipam import Addresses, first_free_pool, mac_of
from sampan.network.options import AddressPool, default_pools
from sampan.network.plan import VethPlan
from sampan.spec.ids import ContainerId, NetworkId, new_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sampan.kernel.rtnetlink import Link
    from sampan.network.ground import Ground

_log = logging.getLogger("sampan.network")

_CHOICES = 8


@dataclass(frozen=True, slots=True)
class BridgeSettings:
    """What one bridge network is to be. `interface` is the bridge's own address, None to keep or choose one.

    `links` are names for the bridge, of which the first that is ours or free is taken. `within` bounds what containers get,
    `kept` is given to none of them. With `static_addresses` a container may ask for an address.
    """

    id: NetworkId
    name: str
    links: tuple[str, ...]
    interface: ipaddress.IPv4Interface | None = None
    within: ipaddress.IPv4Network | None = None
    kept: tuple[ipaddress.IPv4Address, ...] = ()
    pools: tuple[AddressPool, ...] = ()
    mtu: int = 1500
    icc: bool = True
    masquerade: bool = True
    internal: bool = False
    bind_ip: str = "0.0.0.0"
    is_default: bool = True
    static_addresses: bool = False


class BridgeDriver:
    """A NetworkDriver. `reserved` tells which subnets belong to networks whose links may not be there yet."""

    def __init__(
        self,
        settings: BridgeSettings,
        ground: Ground,
        reserved: Callable[[], Iterable[ipaddress.IPv4Network]] = tuple,
    ) -> None:
        self.settings = settings
        self._ground = ground
        self._route = ground.route
        self._reserved = reserved
        self._index = 0
        self.name = ""
        """the link's"""
        self._addresses: Addresses | None = None

    @property
    def addresses(self) -> Addresses:
        """Which addresses are given out; after `open`."""
        if self._addresses is None:
            raise System(f"the network {self.settings.name} is not up")
        return self._addresses

    def open(self) -> None:
        """See NetworkDriver. Raises System where the host refuses."""
        try:
            interface = self._settle_link(self._find())
        except OSError as error:
            settings = self.settings
            what = "error creating default bridge network" if settings.is_default else f"creating {settings.name}"
            raise System(f"Error initializing network controller: {what}: {error}") from error
        if self._addresses is None or self._addresses.subnet != interface.network:
            settings = self.settings
            self._addresses = Addresses(interface.network, interface.ip, settings.within, settings.kept, settings.name)

    def zone(self) -> Zone:
        """The network as the rules see it; after `open`."""
        settings = self.settings
        subnet = str(self.addresses.subnet)
        return Zone(self.name, subnet, settings.icc, settings.masquerade and not settings.internal, settings.internal)

    def facts(self) -> NetworkFacts:
        """See NetworkDriver."""
        subnet, gateway = self.addresses.subnet, self.addresses.gateway
        settings = self.settings
        options = (
            ("com.docker.network.bridge.default_bridge", "true"),
            ("com.docker.network.bridge.enable_icc", str(settings.icc).lower()),
            ("com.docker.network.bridge.enable_ip_masquerade", str(settings.masquerade).lower()),
            ("com.docker.network.bridge.host_binding_ipv4", settings.bind_ip),
            ("com.docker.network.bridge.name", self.name),
            ("com.docker.network.driver.mtu", str(settings.mtu)),
        )
        return NetworkFacts(settings.name, settings.id, "bridge", str(subnet), str(gateway), options)

    def slot_plan(self) -> VethPlan:
        """The pair of a warm slot: everything but address and hardware address."""
        return VethPlan(
            host_name=host_link_name(),
            bridge_index=self._index,
            mac="",
            address="",
            prefix=self.addresses.subnet.prefixlen,
            gateway="" if self.settings.internal else str(self.addresses.gateway),
            mtu=self.settings.mtu,
            # With br_netfilter the kernel translates in the bridge's path: what goes back to the same container then
            # leaves by the port it came in by.
            hairpin=read_sysctl("bridge/bridge-nf-call-iptables") == "1",
            isolated=not self.settings.icc,
        )

    def connect(self, container: ContainerId, wish: Wish) -> Endpoint:
        """See NetworkDriver. Raises InvalidParameter for an address that this network does not let be chosen."""
        if wish.address and not self.settings.static_addresses:
            raise InvalidParameter(
                "user specified IP address is supported on user defined networks only"
                if self.settings.is_default
                else "user specified IP address is supported only when connecting to networks with user configured subnets"
            )
        mac = checked_mac(wish.mac)
        if wish.address:
            self.addresses.reserve(wish.address)
        address = wish.address or self.addresses.allocate()
        plan = replace(self.slot_plan(), address=address, mac=mac or mac_of(address))
        return Endpoint(
            container=container,
            network=self.settings.name,
            network_id=self.settings.id,
            endpoint_id=new_id(),
            address=address,
            prefix=plan.prefix,
            gateway=plan.gateway,
            mac=plan.mac,
            veth=plan,
            gw_priority=wish.gw_priority,
            internal=self.settings.internal,
        )

    def adopt(self, endpoint: Endpoint) -> None:
        """See NetworkDriver. An address outside the present subnet (`--bip` was changed) is only logged: it has no way out."""
        try:
            self.addresses.reserve(endpoint.address)
        except (Forbidden, InvalidParameter) as error:
            _log.warning("container %s keeps the address %s: %s", endpoint.container[:12], endpoint.address, error)

    def release(self, endpoint: Endpoint) -> None:
        """See NetworkDriver."""
        if self._addresses is not None:
            self._addresses.release(endpoint.address)

    def close(self, remove: bool) -> None:
        """See NetworkDriver. Forwarding is switched off again where we switched it on and nobody else seems to need it."""
        if remove and self.name:
            self._ground.dismiss(self.name)
            self._addresses = None

    def _find(self) -> Link | None:
        """Our bridge; sets `name`, to one that is ours or free."""
        free = ""
        for name in self.settings.links:
            link = rtnetlink.link_by_name(self._route, name)
            if link is not None and self._ground.is_ours(link):
                self.name, self._index = name, link.index
                return link
            if link is None:
                free = free or name
        if not free:
            raise OSError(errno.EEXIST, f"the link {self.settings.links[-1]} exists and is not this instance's")
        self.name = free
        return None

    def _settle_link(self, link: Link | None) -> ipaddress.IPv4Interface:
        """Make the bridge what it should be; its own address is the gateway of the containers."""
        fixed = self.settings.interface
        for _ in range(_CHOICES):
            present = self._present_address(link)
            wanted = fixed or present or self._choose()
            link = link or self._create(wanted)
            self._dress(link, present, wanted)
            if fixed or present or not self._yields(wanted):
                return wanted
            self._route.request_all(
                [rtnetlink.remove_address_message(self._index, wanted.ip.packed, wanted.network.prefixlen)]
            )
        raise OSError(errno.EADDRINUSE, "no subnet stayed free while it was taken")

    def _create(self, interface: ipaddress.IPv4Interface) -> Link:
        mac = bytes.fromhex(mac_of(str(interface.ip)).replace(":", ""))
        self._route.request_all(
            [
                rtnetlink.bridge_message(self.name, mac, self.settings.mtu),
                rtnetlink.alias_message(self.name, self._ground.label),
            ]
        )
        link = rtnetlink.link_by_name(self._route, self.name)
        if link is None:
            raise OSError(errno.ENODEV, f"the bridge {self.name} went away while it was made")
        self._index = link.index
        return link

    def _dress(self, link: Link, present: ipaddress.IPv4Interface | None, wanted: ipaddress.IPv4Interface) -> None:
        try:
            write_sysctl(f"ipv6/conf/{self.name}/disable_ipv6", "1")
        except FileNotFoundError:
            pass  # a kernel without IPv6
        messages = []
        if present is not None and present != wanted:
            messages.append(rtnetlink.remove_address_message(link.index, present.ip.packed, present.network.prefixlen))
        if present != wanted:
            messages.append(rtnetlink.address_message(link.index, wanted.ip.packed, wanted.network.prefixlen))
        self._route.request_all([*messages, rtnetlink.up_message(link.index, mtu=self.settings.mtu)])
        # Lets the host's own 127.0.0.1:port reach a container; the table drops what others would make of it.
        write_sysctl(f"ipv4/conf/{self.name}/route_localnet", "1")
        # Isolated ports do not hear each other's questions: the host answers for everybody, at once, and its rules decide.
        write_sysctl(f"ipv4/conf/{self.name}/proxy_arp_pvlan", "0" if self.settings.icc else "1")
        write_sysctl(f"ipv4/neigh/{self.name}/proxy_delay", "80" if self.settings.icc else "0")

    def _present_address(self, link: Link | None) -> ipaddress.IPv4Interface | None:
        if link is None:
            return None
        for address in rtnetlink.addresses(self._route):
            if address.index == link.index:
                return ipaddress.IPv4Interface((int.from_bytes(address.address, "big"), address.prefix))
        return None

    def _choose(self) -> ipaddress.IPv4Interface:
        """The first subnet of the pools that overlaps nothing of the host's; its first address."""
        taken = [*networks_in_use(self._route, self._index), *self._reserved()]
        for pool in self.settings.pools or default_pools():
            subnet = first_free_pool(pool.base.subnets(new_prefix=pool.size), taken)
            if subnet is not None:
                return ipaddress.IPv4Interface((int(subnet.network_address) + 1, subnet.prefixlen))
        raise OSError(errno.EADDRNOTAVAIL, "all predefined address pools have been fully subnetted")

    def _yields(self, wanted: ipaddress.IPv4Interface) -> bool:
        """Whether another took the same subnet in the same moment and was first: the lower index keeps it."""
        return any(
            address.index not in (0, self._index)
            and address.index < self._index
            and ipaddress.IPv4Address(address.address) in wanted.network
            for address in rtnetlink.addresses(self._route)
        )


def checked_mac(text: str) -> str:
    """A hardware address as it is written; empty for none. Raises InvalidParameter."""
    if not text:
        return ""
    parts = text.replace("-", ":").split(":")
    try:
        octets = bytes(int(part, 16) for part in parts if len(part) == 2)
    except ValueError as error:
        raise InvalidParameter(f"invalid MAC address: {text}") from error
    if len(parts) != 6 or len(octets) != 6 or octets[0] & 1 or not any(octets):
        raise InvalidParameter(f"invalid MAC address: {text}")
    return octets.hex(":")
