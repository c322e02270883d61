"""A network of containers that stand on a link of the host, beside the host itself: macvlan and ipvlan.

The host forwards nothing for them, translates nothing and filters nothing: they are on the parent's wire by themselves.
No rule of ours concerns them, and no port of theirs is published (as in Docker). Neither does the host itself reach them by
its parent: that is how the kernel makes these links.
"""

from __future__ import annotations

import ipaddress
import os
from typing import TYPE_CHECKING

from sampan.errors import System
from sampan.network.allotment import Allotment
from sampan.network.driver import NetworkFacts, Wish, checked_mac, facts_of
from sampan.network.endpoint import Endpoint
from sampan.network.parent_link import ParentLink
from sampan.network.parented_options import parented_options
from sampan.network.plan import LinkKind, LinkPlan
from sampan.spec.ids import ContainerId, new_id

if TYPE_CHECKING:
    from sampan.kernel.netlink import Netlink
    from sampan.network.definition import NetworkDefinition, Pool
    from sampan.network.ipam import Address, Subnet

_LEAST_INDEX = 1 << 20
"""Above what the kernel itself gives: the index must be free on the host and in the container."""
_REFUSED = "user specified IP address is supported only when connecting to networks with user configured subnets"


class ParentedDriver:
    """A NetworkDriver for networks of a user's own. `label` is the alias of links that it makes."""

    def __init__(self, definition: NetworkDefinition, route: Netlink, label: str) -> None:
        self.definition = definition
        self._options = parented_options(definition.driver, definition.options)
        self._parent = ParentLink(definition.parent, definition.driver, not self._options.parent, route, label)
        self._leads_out = self._options.leads_out(definition.internal)
        self._allotted = Allotment(definition.name)
        first = (definition.subnet, definition.gateway, definition.pool)
        for subnet, gateway, pool in (first, (definition.subnet6, definition.gateway6, definition.pool6)):
            if subnet:
                self._allotted.provide(*addresses_of(subnet, gateway, pool))
        for one in definition.more:
            if one.subnet:
                self._allotted.add(*addresses_of(one.subnet, one.gateway, one.pool))

    def open(self) -> None:
        """See NetworkDriver. Raises System in Docker's words where the parent is not there and cannot be made."""
        self._parent.open()

    def facts(self) -> NetworkFacts:
        """See NetworkDriver."""
        return facts_of(self.definition)

    def connect(self, container: ContainerId, wish: Wish) -> Endpoint:
        """See NetworkDriver. Raises System where the parent is gone, or a hardware address is wished for and there is none."""
        definition, options = self.definition, self._options
        mac = checked_mac(wish.mac)
        if mac and options.kind is LinkKind.IPVLAN:
            raise System(
                f"failed to create endpoint {wish.owner or container[:12]} on network {definition.name}: "
                "ipvlan interfaces do not support custom mac address assignment"
            )
        parent = self._parent.index()
        given = self._allotted.take(wish, [subnet.version for subnet in definition.chosen], _REFUSED)
        address, address6 = given.get(4, ""), given.get(6, "")
        (prefix, gateway), (prefix6, gateway6) = self._place(address), self._place(address6)
        if options.kind is LinkKind.MACVLAN:
            mac = mac or random_mac()
        plan = LinkPlan(
            host_name="",
            bridge_index=0,
            mac=mac,
            address=address,
            prefix=prefix,
            gateway=gateway,
            ipv6=6 in given,
            address6=address6,
            prefix6=prefix6,
            gateway6=gateway6,
            link_local=wish.link_local,
            sysctls=wish.sysctls,
            kind=options.kind,
            parent_index=parent,
            mode=options.mode,
            flag=options.flag,
            index=_LEAST_INDEX + int.from_bytes(os.urandom(3), "big"),
        )
        return Endpoint(
            container=container,
            network=definition.name,
            network_id=definition.id,
            endpoint_id=new_id(),
            address=address,
            prefix=plan.prefix,
            gateway=gateway,
            mac=mac,
            link=plan,
            gw_priority=wish.gw_priority,
            internal=definition.internal,
            address6=address6,
            prefix6=plan.prefix6,
            gateway6=gateway6,
            interface=wish.interface,
            straight=self._leads_out and options.is_straight,
        )

    def _place(self, address: str) -> tuple[int, str]:
        """Prefix length and gateway of the subnet that an address lies in; "" where none is told."""
        found = self._allotted.of(address) if address else None
        if found is None:
            return 0, ""
        is_told = found.gateway is not None and self._leads_out and not self._options.is_straight
        return found.subnet.prefixlen, str(found.gateway) if is_told else ""

    def adopt(self, endpoint: Endpoint) -> None:
        """See NetworkDriver."""
        self._allotted.adopt(endpoint)

    def release(self, endpoint: Endpoint) -> None:
        """See NetworkDriver."""
        self._allotted.release(endpoint)

    def close(self, remove: bool) -> None:
        """See NetworkDriver. A parent that was there before stays. Raises OSError."""
        if remove:
            self._parent.remove()


def addresses_of(
    subnet: str, gateway: str, pool: Pool | None
) -> tuple[Subnet, Address | None, Subnet | None, list[Address]]:
    """A network's subnet, gateway, range and addresses that are kept, from what is written of them."""
    return (
        ipaddress.ip_network(subnet),
        ipaddress.ip_address(gateway) if gateway else None,
        ipaddress.ip_network(pool.ip_range) if pool and pool.ip_range else None,
        [ipaddress.ip_address(one) for one in pool.auxiliary.values()] if pool else [],
    )


def random_mac() -> str:
    """One that is locally administered (IEEE 802), random as Docker's: a link that is not quite gone yet keeps its own."""
    octets = os.urandom(6)
    return bytes((octets[0] & 0xFC | 0x02, *octets[1:])).hex(":")
