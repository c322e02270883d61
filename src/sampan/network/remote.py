"""A network whose links a plugin makes: addresses are given and checked here, and what the plugin answers becomes a plan.

Nothing that it says is believed. The link that it names must be in the host's namespace, nobody's port and none that the host
itself goes by: moved into a container it would be the container's.
"""

from __future__ import annotations

import ipaddress
import os
import socket
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sampan.errors import System
from sampan.kernel import rtnetlink
from sampan.network.allotment import Allotment
from sampan.network.creation_options import is_link_name
from sampan.network.driver import NetworkFacts, Wish, checked_mac, facts_of
from sampan.network.endpoint import Endpoint
from sampan.network.parented import addresses_of
from sampan.network.plan import LinkKind, LinkPlan
from sampan.spec.ids import ContainerId, new_id

if TYPE_CHECKING:
    from sampan.kernel.netlink import Netlink
    from sampan.network.definition import NetworkDefinition

_LEAST_INDEX = 1 << 20
"""Above what the kernel itself gives: the index must be free in the container, and tells the link there."""
_LOOPBACK = 1
_MOST_ROUTES = 256
_REFUSED = "user specified IP address is supported only when connecting to networks with user configured subnets"


@dataclass(frozen=True, slots=True)
class Answered:
    """What a plugin said of one place, as text; empty where it said nothing. Routes are destination and next hop, "" for none."""

    source: str
    prefix: str = ""
    name: str = ""
    mac: str = ""
    gateway: str = ""
    gateway6: str = ""
    routes: tuple[tuple[str, str], ...] = ()


class RemoteDriver:
    """A NetworkDriver whose end points have no link until `linked` says what the plugin has made."""

    def __init__(self, definition: NetworkDefinition) -> None:
        self.definition = definition
        self._allotted = Allotment(definition.name)
        first = (definition.subnet, definition.gateway, definition.pool)
        for subnet, gateway, pool in (first, (definition.subnet6, definition.gateway6, definition.pool6)):
            if subnet:
                self._allotted.provide(*addresses_of(subnet, gateway, pool))
        for one in definition.more:
            if one.subnet:
                self._allotted.add(*addresses_of(one.subnet, one.gateway, one.pool))

    def open(self) -> None:
        """See NetworkDriver: the host's part is the plugin's."""

    def facts(self) -> NetworkFacts:
        """See NetworkDriver."""
        return facts_of(self.definition)

    def connect(self, container: ContainerId, wish: Wish) -> Endpoint:
        """See NetworkDriver."""
        definition = self.definition
        given = self._allotted.take(wish, [subnet.version for subnet in definition.chosen], _REFUSED)
        address, address6 = given.get(4, ""), given.get(6, "")
        link = LinkPlan(
            host_name="",
            bridge_index=0,
            mac=checked_mac(wish.mac),
            address=address,
            prefix=self._prefix(address),
            gateway="",
            ipv6=6 in given,
            address6=address6,
            prefix6=self._prefix(address6),
            link_local=wish.link_local,
            sysctls=wish.sysctls,
            kind=LinkKind.MOVED,
            index=_LEAST_INDEX + int.from_bytes(os.urandom(3), "big"),
        )
        return Endpoint(
            container=container,
            network=definition.name,
            network_id=definition.id,
            endpoint_id=new_id(),
            address=address,
            prefix=link.prefix,
            mac=link.mac,
            link=link,
            gw_priority=wish.gw_priority,
            internal=definition.internal,
            address6=address6,
            prefix6=link.prefix6,
            interface=wish.interface,
        )

    def _prefix(self, address: str) -> int:
        found = self._allotted.of(address) if address else None
        return found.subnet.prefixlen if found is not None else 0

    def adopt(self, endpoint: Endpoint) -> None:
        """See NetworkDriver."""
        self._allotted.adopt(endpoint)

    def release(self, endpoint: Endpoint) -> None:
        """See NetworkDriver."""
        self._allotted.release(endpoint)

    def close(self, remove: bool) -> None:
        """See NetworkDriver: nothing is on the host but what the plugin has made."""


def linked(endpoint: Endpoint, answered: Answered, route: Netlink, label: str) -> Endpoint:
    """The end point with the link that the plugin has made. Raises System for what cannot be, or must not.

    `label` is the alias of what this engine itself has made on the host.
    """
    assert endpoint.link is not None
    answered = checked(answered)
    index = _source(answered.source, route, label, endpoint.link)
    mac = endpoint.mac or answered.mac
    plan = replace(
        endpoint.link,
        host_name=answered.source,
        parent_index=index,
        mac=mac,
        gateway=answered.gateway,
        gateway6=answered.gateway6,
        routes=answered.routes,
    )
    return replace(
        endpoint,
        link=plan,
        mac=mac,
        gateway=answered.gateway,
        gateway6=answered.gateway6,
        interface=endpoint.interface or answered.name,
        interface_prefix=answered.prefix or endpoint.interface_prefix,
    )


def checked(answered: Answered) -> Answered:
    """What of an answer can be told without the kernel: names, addresses, routes. Raises System, InvalidParameter."""
    for text, version in ((answered.gateway, 4), (answered.gateway6, 6)):
        if text and _address(text, "gateway").version != version:
            raise System(f"the network driver answered with the gateway {text[:64]!r}, which is of the other family")
    if len(answered.routes) > _MOST_ROUTES:
        raise System(f"the network driver answered with more than {_MOST_ROUTES} routes")
    if answered.prefix and not is_link_name(f"{answered.prefix}0"):
        raise System(f"the network driver answered with the interface prefix {answered.prefix[:32]!r}, which is none")
    if answered.name and not is_link_name(answered.name):
        raise System(f"the network driver answered with the interface name {answered.name[:32]!r}, which is none")
    routes = tuple(_route(*one) for one in answered.routes)
    return replace(answered, mac=checked_mac(answered.mac), routes=routes)


def _source(name: str, route: Netlink, label: str, plan: LinkPlan) -> int:
    """The index of the link that is to be moved."""
    if not is_link_name(name):
        raise System(f"the network driver answered with the link {name[:32]!r}, which is no name of one")
    try:
        link = rtnetlink.link_by_name(route, name)
        if link is None:
            raise System(f"the network driver answered with the link {name}, which is not on the host")
        why = _why_not(link, route, label, plan)
    except OSError as error:
        raise System(f"the network driver's link {name} cannot be looked at: {error.strerror}") from error
    if why:
        raise System(f"the network driver answered with the link {name}, which {why}: it is not moved")
    # Moved by its index, which no other link gets: the name can be another link's in a moment.
    return int(link.index)


def _why_not(link: rtnetlink.Link, route: Netlink, label: str, plan: LinkPlan) -> str:
    """Why a link is not a plugin's to give; "" where it is."""
    if link.index == _LOOPBACK:
        return "is the host's loopback"
    if link.alias.startswith(label) or link.kind == "bridge":
        return "is a bridge, or one of the engine's own"
    if link.master:
        return "is a port of another link"
    if _is_used(route, link, plan):
        return "is one that routes or addresses of the host go by"
    return ""


def _is_used(route: Netlink, link: rtnetlink.Link, plan: LinkPlan) -> bool:
    """Some drivers give the container's end of a pair its address themselves, with the routes to it: those are not the host's."""
    for family, text, prefix in (
        (socket.AF_INET, plan.address, plan.prefix),
        (socket.AF_INET6, plan.address6, plan.prefix6),
    ):
        own = ipaddress.ip_interface(f"{text}/{prefix}") if text and prefix and link.kind == "veth" else None
        for address in rtnetlink.addresses(route, family):
            found = ipaddress.ip_address(address.address)
            if address.index == link.index and not found.is_link_local and (own is None or found != own.ip):
                return True
        for entry in rtnetlink.routes(route, family):
            if entry.index != link.index or _is_every_link_s(entry.destination, entry.prefix):
                continue
            if own is None or not _lies_in(entry, own.network):
                return True
    return False


def _lies_in(entry: rtnetlink.RouteEntry, network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> bool:
    first = ipaddress.ip_address(entry.destination)
    return entry.prefix >= network.prefixlen and first in network


def _is_every_link_s(destination: bytes, prefix: int) -> bool:
    """Whether IPv6 gives a route to every link that is up: link-local and multicast ones."""
    if len(destination) == 4 or not prefix:
        return False
    network = ipaddress.ip_network((destination, prefix), strict=False)
    return network.is_link_local or network.is_multicast


def _address(text: str, what: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    try:
        if "%" in text:
            raise ValueError("an address with a zone is one of this host's, not of a container's")
        return ipaddress.ip_address(text)
    except ValueError as error:
        raise System(f"the network driver answered with the {what} {text[:64]!r}, which is no address") from error


def _route(destination: str, next_hop: str) -> tuple[str, str]:
    try:
        network = ipaddress.ip_network(destination, strict=False)
    except ValueError as error:
        raise System(
            f"the network driver answered with a route to {destination[:64]!r}, which is no network"
        ) from error
    if next_hop and _address(next_hop, "next hop").version != network.version:
        raise System(f"the network driver answered with the next hop {next_hop} of the other family")
    return str(network), next_hop
