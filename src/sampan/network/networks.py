"""The daemon's door to networks: end points, published ports, and the host kept in order."""

from __future__ import annotations

import errno
import hashlib
import logging
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from sampan.errors import System
from sampan.kernel import conntrack
from sampan.kernel.netlink import NETLINK_NETFILTER, NETLINK_ROUTE, Netlink
from sampan.kernel.nftables import NFNLGRP_NFTABLES
from sampan.network.bridge import BridgeDriver
from sampan.network.driver import NetworkFacts, Wish
from sampan.network.endpoint import Endpoint, Published
from sampan.network.firewall import PROTOCOLS, Allowed, Forward
from sampan.network.modes import Mode, ModeKind
from sampan.network.ports import HostPorts, PortRequest, PortTaken
from sampan.spec.ids import ContainerId, InstanceId, NetworkId, new_id

if TYPE_CHECKING:
    import socket

    from sampan.network.options import NetworkOptions
    from sampan.network.plan import VethPlan

_log = logging.getLogger("sampan.network")


class Networks:
    """All networks of one daemon. Called from one thread (its event loop), in the host's network namespace.

    networks.open()                                      at start; again is allowed
    networks.adopt(endpoint, forwards) …                 for each container that an earlier daemon left running
    networks.adopted()                                   ports that nobody claimed are taken back
    endpoint = networks.connect(id, parse_mode(mode))    at a container's start
    published = networks.publish(endpoint, name, parse_ports(…))
    …StartRequest(veth=endpoint.veth, held=published.held); then published.close()…
    networks.release(endpoint, published.forwards)       at its end
    """

    def __init__(self, instance: InstanceId, options: NetworkOptions) -> None:
        self._instance = instance
        self._options = options
        self._route: Netlink | None = None
        self._netfilter: Netlink | None = None
        self._events: Netlink | None = None
        self._bridge: BridgeDriver | None = None
        self._ports = HostPorts()
        self._claimed: set[Forward] = set()

    def open(self) -> None:
        """Bring bridge, settings and rules into order. Raises System, with the reason, where the host refuses."""
        if self._route is None:
            self._route = Netlink(NETLINK_ROUTE)
            self._netfilter = Netlink(NETLINK_NETFILTER)
            self._events = Netlink(NETLINK_NETFILTER)
            self._events.join(NFNLGRP_NFTABLES)
        if self._options.disabled:
            return
        if self._bridge is None:
            assert self._netfilter is not None
            network = self.network_id(ModeKind.BRIDGE)
            self._bridge = BridgeDriver(self._instance, network, self._options, self._route, self._netfilter)
        self._bridge.open()

    def network_id(self, kind: ModeKind) -> NetworkId:
        """The id of a predefined network: the same in every run of an instance."""
        return NetworkId(hashlib.sha256(f"{self._instance}/{kind}".encode()).hexdigest())

    def facts(self) -> tuple[NetworkFacts, ...]:
        """The networks there are."""
        bridge = (self._bridge.facts(),) if self._bridge is not None else ()
        host = NetworkFacts("host", self.network_id(ModeKind.HOST), "host")
        return (*bridge, host, NetworkFacts("none", self.network_id(ModeKind.NONE), "null"))

    def slot_plan(self) -> VethPlan:
        """The pair of a warm slot for the default bridge. Raises System where there is none."""
        return self._default_bridge().slot_plan()

    def connect(self, container: ContainerId, mode: Mode, wish: Wish = Wish()) -> Endpoint:  # noqa: B008 - immutable
        """A place in a network. With ModeKind.CONTAINER the place is the other container's: not asked here.

        Raises Conflict when the subnet is full, InvalidParameter for a wish that the network does not grant.
        """
        if mode.kind is ModeKind.BRIDGE:
            return self._default_bridge().connect(container, wish)
        if mode.kind is ModeKind.CONTAINER:
            raise ValueError("a joined network namespace has no end point of its own")
        return Endpoint(container, mode.kind.value, self.network_id(mode.kind), new_id())

    def publish(self, endpoint: Endpoint, name: str, requests: Sequence[PortRequest]) -> Published:
        """Take and bind the ports of the host, then lead them to the container: all of them or none.

        `name` is the container's, for the error. Raises PortTaken (or another System) in Docker's words.
        """
        if not requests or not endpoint.address:
            return Published()
        forwards: list[Forward] = []
        held: list[socket.socket] = []
        try:
            for request in requests:
                forward, sock = self._ports.bind(request, endpoint.address)
                forwards.append(forward)
                held.append(sock)
            self._default_bridge().firewall.add(forwards)
            self._forget_flows(forwards)
        except (OSError, System) as error:
            for sock in held:
                sock.close()
            self._withdraw(forwards)
            kind = PortTaken if isinstance(error, PortTaken) else System
            raise kind(
                "failed to set up container networking: driver failed programming external connectivity on endpoint "
                f"{name} ({endpoint.endpoint_id}): {error}"
            ) from error
        return Published(tuple(forwards), tuple(held))

    def link(self, parent: Endpoint, child: Endpoint, ports: Iterable[tuple[int, str]]) -> None:
        """Let `parent` reach `ports` of `child` where containers do not reach each other. Raises OSError."""
        if self._bridge is None or not parent.address or not child.address:
            return
        allowed = (Allowed(protocol, parent.address, child.address, port) for port, protocol in ports)
        self._bridge.firewall.allow(one for one in allowed if one.protocol in PROTOCOLS)

    def unlink(self, parent: Endpoint, child: Endpoint) -> None:
        """Take that back. Raises OSError."""
        if self._bridge is not None:
            self._bridge.firewall.forbid(child.address, parent.address)

    def release(self, endpoint: Endpoint, forwards: Iterable[Forward] = ()) -> None:
        """Take back ports and address of a container that has ended. Never raises for the host's refusal: it is logged."""
        gone = list(forwards)
        self._withdraw(gone)
        if endpoint.network == ModeKind.BRIDGE and self._bridge is not None:
            self._forbid(self._bridge, endpoint.address)
            self._bridge.release(endpoint)

    def adopt(self, endpoint: Endpoint, forwards: Iterable[Forward] = ()) -> None:
        """Take over a running container of an earlier daemon: its address, and its ports, which its monitor holds."""
        if endpoint.network != ModeKind.BRIDGE:
            return
        bridge = self._default_bridge()
        bridge.adopt(endpoint)
        mine = list(forwards)
        for forward in mine:
            self._ports.take(forward)
        self._claimed.update(mine)
        bridge.firewall.add(mine)

    def adopted(self) -> None:
        """Every running container has been adopted: ports that are left in the table belong to nobody."""
        if self._bridge is None:
            return
        stale = [forward for forward in self._bridge.firewall.inherit() if forward not in self._claimed]
        self._bridge.firewall.remove(stale)
        self._claimed.clear()

    def verify(self) -> bool:
        """Put our rules back where they were flushed; whether that was needed. Cheap when nothing has changed."""
        return self._bridge is not None and self._bridge.firewall.verify()

    def fileno(self) -> int:
        """Readable when somebody changed nf_tables: then call `changed`."""
        if self._events is None:
            raise System("networks are not open")
        return self._events.fileno()

    def changed(self) -> bool:
        """Read the events away and verify. What the host refuses is logged: the next event or publish tries again."""
        if self._events is not None:
            self._events.drain()
        try:
            return self.verify()
        except OSError as error:
            _log.error("the rules of the network cannot be put back: %s", error)
            return False

    def close(self, remove: bool = False) -> None:
        """Let go of the host; bridge and rules stay, unless `remove` says that no container needs them any more."""
        if self._bridge is not None:
            self._bridge.close(remove)
            self._bridge = None
        for sock in (self._route, self._netfilter, self._events):
            if sock is not None:
                sock.close()
        self._route = self._netfilter = self._events = None

    def _default_bridge(self) -> BridgeDriver:
        if self._bridge is None:
            raise System("the default bridge network is disabled (--bridge=none)")
        return self._bridge

    @staticmethod
    def _forbid(bridge: BridgeDriver, address: str) -> None:
        try:
            bridge.firewall.forbid(address)
        except OSError as error:
            _log.warning("links stay in the table until it is verified: %s", error)

    def _withdraw(self, forwards: list[Forward]) -> None:
        for forward in forwards:
            self._ports.give_back(forward)
        if not forwards or self._bridge is None:
            return
        try:
            self._bridge.firewall.remove(forwards)
            self._forget_flows(forwards)
        except OSError as error:
            _log.warning("ports stay in the table until it is verified: %s", error)

    def _forget_flows(self, forwards: list[Forward]) -> None:
        """A flow that is known keeps going where it went before. UDP only: TCP starts anew with each connection."""
        ports = {forward.host_port for forward in forwards if forward.protocol == "udp"}
        if not ports:
            return
        assert self._netfilter is not None
        try:
            conntrack.delete_to_ports(self._netfilter, PROTOCOLS["udp"], ports)
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):
                raise
            _log.warning("stale UDP flows are kept, this kernel has no ctnetlink: %s", error)
