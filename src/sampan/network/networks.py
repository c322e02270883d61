"""The daemon's door to networks: which there are, end points, published ports, and the host kept in order."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from sampan.errors import Forbidden, InvalidParameter, System
from sampan.kernel.netlink import NETLINK_NETFILTER, NETLINK_ROUTE, Netlink
from sampan.kernel.nftables import NFNLGRP_NFTABLES
from sampan.network.arrangement import Ways
from sampan.network.as_caller import open_way_back
from sampan.network.bridge import BridgeDriver
from sampan.network.driver import NetworkFacts, Wish, facts_of, found
from sampan.network.endpoint import Endpoint, Published
from sampan.network.ground import Ground
from sampan.network.host_state import networks_in_use
from sampan.network.ipam import Subnet, first_free_pool
from sampan.network.modes import Mode, ModeKind
from sampan.network.options import pools_of
from sampan.network.outside import Outside
from sampan.network.policy import Allowed, Forward
from sampan.network.port_elements import PROTOCOLS
from sampan.network.ports import HostPorts, PortRequest, PortTaken, Reach, placed
from sampan.network.publishing import Publishing
from sampan.network.reaching import reach
from sampan.network.settings import default_bridge, user_bridge
from sampan.spec.ids import ContainerId, InstanceId, NetworkId, new_id

if TYPE_CHECKING:
    from sampan.network.bridge_settings import BridgeSettings
    from sampan.network.definition import NetworkDefinition
    from sampan.network.driver import NetworkDriver
    from sampan.network.options import NetworkOptions
    from sampan.network.parented import ParentedDriver
    from sampan.network.plan import LinkPlan
    from sampan.network.remote import Answered, RemoteDriver
    from sampan.network.rules_report import Report

_log = logging.getLogger("sampan.network")


class Networks:
    """All networks of one daemon. Called from one thread (its event loop), in the host's network namespace.

    networks.open(definitions)                           at start; again is allowed
    networks.adopt(endpoint, forwards) …                 for each container that an earlier daemon left running
    networks.adopted()                                   ports that nobody claimed are taken back
    endpoint = networks.connect(id, parse_mode(mode))    at a container's start
    published = networks.publish(ways(endpoints), name, parse_ports(…))
    …StartRequest(link=endpoint.link, held=published.held); then published.close()…
    networks.release(endpoint, published.forwards)       at its end
    """

    def __init__(self, instance: InstanceId, options: NetworkOptions) -> None:
        self._instance = instance
        self._options = options
        self._route: Netlink | None = None
        self._netfilter: Netlink | None = None
        self._events: Netlink | None = None
        self._ground: Ground | None = None
        self._bridge: BridgeDriver | None = None
        self._user: dict[NetworkId, BridgeDriver | ParentedDriver | RemoteDriver] = {}
        self._definitions: dict[NetworkId, NetworkDefinition] = {}
        self._ports = HostPorts(Outside(options.keeper) if options.keeper else None)
        self._claimed: set[Forward] = set()

    def open(self, definitions: Iterable[NetworkDefinition] = ()) -> None:
        """Bring bridges, settings and rules into order. Raises System, with the reason, where the host refuses.

        A user's network whose link cannot be made (a stranger has its name by now) is logged, and has no place for anybody.
        """
        if self._route is None:
            self._route = Netlink(NETLINK_ROUTE)
            self._netfilter = Netlink(NETLINK_NETFILTER)
            self._events = Netlink(NETLINK_NETFILTER)
            self._events.join(NFNLGRP_NFTABLES)
            self._ground = Ground(self._instance, self._options, self._route, self._netfilter)
        assert self._ground is not None
        self._definitions |= {definition.id: definition for definition in definitions}
        if not self._options.disabled and self._bridge is None:
            settings = default_bridge(self._instance, self.network_id(ModeKind.BRIDGE), self._options)
            self._bridge = BridgeDriver(settings, self._ground, self._reserved)
        if self._bridge is not None:
            self._bridge.open()
        for definition in self._definitions.values():
            self._open_user(definition)
        try:
            self._ground.open([driver.zone() for driver in self._bridges()])
            if self._options.keeper:
                open_way_back(self._ground.route, self._ground.netfilter)
            self._drop_strangers()
        except OSError as error:
            raise System(f"Error initializing network controller: {error}") from error

    def _open_user(self, definition: NetworkDefinition) -> None:
        if definition.config_only:
            return
        driver = self._user.get(definition.id) or self._made(definition)
        try:
            driver.open()
        except System as error:
            _log.error("the network %s is not up: %s", definition.name, error)
            if not definition.parent:
                return
            # Its parent may come yet.
        self._user[definition.id] = driver

    def _made(self, definition: NetworkDefinition) -> BridgeDriver | ParentedDriver | RemoteDriver:
        assert self._ground is not None
        if definition.remote:
            from sampan.network.remote import RemoteDriver

            return RemoteDriver(definition)
        if not definition.parent:
            return BridgeDriver(user_bridge(definition, self._options.allow_direct_routing), self._ground)
        # Late: most daemons have none.
        from sampan.network.parented import ParentedDriver

        return ParentedDriver(definition, self._ground.route, self._ground.label)

    def _drop_strangers(self) -> None:
        """Links of networks whose creation was never acknowledged, or whose removal was."""
        assert self._ground is not None
        wanted = {driver.name for driver in self._bridges()}
        for name in self._ground.bridges():
            if name not in wanted:
                _log.info("the bridge %s belongs to no network: removed", name)
                self._ground.dismiss(name)
        self._ground.remove_parents({one.parent for one in self._definitions.values()})

    def _bridges(self) -> list[BridgeDriver]:
        return [one for one in (self._bridge, *self._user.values()) if isinstance(one, BridgeDriver)]

    def network_id(self, kind: ModeKind) -> NetworkId:
        """The id of a predefined network: the same in every run of an instance."""
        return NetworkId(hashlib.sha256(f"{self._instance}/{kind}".encode()).hexdigest())

    def facts(self) -> tuple[NetworkFacts, ...]:
        """The networks there are."""
        bridge = (self._bridge.facts(),) if self._bridge is not None else ()
        host = NetworkFacts("host", self.network_id(ModeKind.HOST), "host")
        none = NetworkFacts("none", self.network_id(ModeKind.NONE), "null")
        return (*bridge, host, none, *(facts_of(one) for one in self._definitions.values()))

    def find(self, reference: str) -> NetworkFacts:
        """A network by full id, name or beginning of an id. Raises NotFound, InvalidParameter in Docker's words."""
        return found(self.facts(), reference)

    def host_addresses(self) -> tuple[str, ...]:
        """Where containers of any network find the host (`host-gateway`): at the default bridge, IPv4 first; none without it."""
        facts = self._bridge.facts() if self._bridge is not None else None
        return tuple(one for one in (facts.gateway, facts.gateway6) if one) if facts is not None else ()

    def definitions(self) -> tuple[NetworkDefinition, ...]:
        """The networks that users made."""
        return tuple(self._definitions.values())

    def subnets(self) -> list[Subnet]:
        """The subnets of all networks."""
        default = self._bridge.subnets if self._bridge is not None else []
        return [*default, *self._reserved()]

    def _reserved(self) -> list[Subnet]:
        return [subnet for definition in self._definitions.values() for subnet in definition.subnets]

    def choose_subnet(self, version: int) -> Subnet:
        """The first of the address pools that overlaps nothing of the host's or ours. Raises InvalidParameter."""
        assert self._route is not None
        taken = [*networks_in_use(self._route, version=version), *self.subnets()]
        for pool in pools_of(version, self._options.pools, self._instance):
            subnet = first_free_pool(pool.base, pool.size, taken)
            if subnet is not None:
                return subnet
        raise InvalidParameter("all predefined address pools have been fully subnetted")

    def create(self, definition: NetworkDefinition) -> None:
        """Make the link and the rules of a user's network. Raises System; then nothing of it is left."""
        assert self._ground is not None
        if definition.config_only:
            self._definitions[definition.id] = definition
            return
        driver = self._made(definition)
        if isinstance(driver, BridgeDriver):
            self._create_bridge(driver)
        else:
            driver.open()
        self._user[definition.id] = driver
        self._definitions[definition.id] = definition

    def _create_bridge(self, driver: BridgeDriver) -> None:
        assert self._ground is not None
        try:
            driver.open()
            self._ground.admit(driver.zone())
        except (OSError, System) as error:
            if driver.name:
                self._ground.dismiss(driver.name)
            raise System(f"error creating network {driver.settings.name}: {error}") from error

    def remove(self, network: NetworkId) -> None:
        """Remove a user's network, in which no container is. What the host refuses is logged: the next start looks again."""
        definition = self._definitions.pop(network, None)
        driver = self._user.pop(network, None)
        if driver is None or definition is None:
            return
        try:
            driver.close(remove=not any(one.parent == definition.parent != "" for one in self._definitions.values()))
        except OSError as error:
            _log.warning("the network %s leaves something on the host: %s", definition.name, error)

    def slot_plan(self) -> LinkPlan:
        """The pair of a warm slot for the default bridge. Raises System where there is none."""
        return self._default_bridge().slot_plan()

    def connect(self, container: ContainerId, mode: Mode, wish: Wish = Wish()) -> Endpoint:  # noqa: B008 - immutable
        """A place in a network. With ModeKind.CONTAINER the place is the other container's: not asked here.

        Raises Conflict when the subnet is full, InvalidParameter for a wish that the network does not grant, Forbidden for an
        address in use, NotFound.
        """
        if mode.kind is ModeKind.BRIDGE:
            return self._default_bridge().connect(container, wish)
        if mode.kind is ModeKind.CONTAINER:
            raise ValueError("a joined network namespace has no end point of its own")
        if mode.kind is ModeKind.NETWORK:
            return self._driver(self.find(mode.network)).connect(container, wish)
        return Endpoint(container, mode.kind.value, self.network_id(mode.kind), new_id())

    def linked(self, endpoint: Endpoint, answered: Answered) -> Endpoint:
        """The place with the link that a plugin has made for it. Raises System for what is not to be moved."""
        from sampan.network.remote import linked

        assert self._ground is not None
        return linked(endpoint, answered, self._ground.route, self._ground.label)

    def default_options(self, driver: str) -> Mapping[str, str]:
        """Options that a new network of a driver gets where its creator does not say otherwise."""
        return self._options.network_options.get(driver or "bridge", {})

    def reach(self, out: Ways) -> Reach:
        """Where ports of a container lead that has these ways out."""
        return reach(out, self._settings, self._options)

    def _settings(self, endpoint: Endpoint) -> BridgeSettings | None:
        driver = self._driver_of(endpoint)
        return driver.settings if isinstance(driver, BridgeDriver) else None

    def publish(self, out: Ways, name: str, requests: Sequence[PortRequest]) -> Published:
        """Take and bind the ports of the host, then lead them to the container: all of them or none.

        `name` is the container's, for the error. Raises PortTaken (or another System) in Docker's words.
        """
        if not requests or out.endpoint is None:
            return Published()
        try:
            return self._publishing().publish(placed(requests, self.reach(out)))
        except (OSError, System) as error:
            kind = PortTaken if isinstance(error, PortTaken) else System
            raise kind(
                "failed to set up container networking: driver failed programming external connectivity on endpoint "
                f"{name} ({out.endpoint.endpoint_id}): {error}"
            ) from error

    def link(self, parent: Endpoint, child: Endpoint, ports: Iterable[tuple[int, str]]) -> None:
        """Let `parent` reach `ports` of `child` where containers do not reach each other. Raises OSError."""
        if self._ground is None or self._bridge is None or self._bridge.settings.icc:
            return
        if not parent.address or not child.address:
            return
        allowed = (Allowed(protocol, parent.address, child.address, port) for port, protocol in ports)
        self._ground.firewall.allow(one for one in allowed if one.protocol in PROTOCOLS)

    def unlink(self, parent: Endpoint, child: Endpoint) -> None:
        """Take that back. Raises OSError."""
        if self._ground is not None:
            self._ground.firewall.forbid(child.address, parent.address)

    def redirect(self, before: Sequence[Forward], out: Ways) -> tuple[Forward, ...]:
        """Lead ports that a running container holds to its present ways out; with none they lead nowhere, but stay taken.

        Raises OSError.
        """
        return self._publishing().redirect(before, self.reach(out))

    def _publishing(self) -> Publishing:
        assert self._ground is not None
        assert self._netfilter is not None
        return Publishing(self._ports, self._ground.firewall, self._netfilter)

    def release(self, endpoint: Endpoint, forwards: Iterable[Forward] = ()) -> None:
        """Take back ports and address of a container that has ended. Never raises for the host's refusal: it is logged."""
        gone = list(forwards)
        self.withdraw(gone)
        driver = self._driver_of(endpoint)
        if driver is not None:
            for address in endpoint.addresses:
                self._forbid(address)
            driver.release(endpoint)

    def adopt(self, endpoint: Endpoint, forwards: Iterable[Forward] = ()) -> None:
        """Take over a running container of an earlier daemon: its address, and its ports, which its monitor holds."""
        driver = self._driver_of(endpoint)
        if driver is None:
            return
        assert self._ground is not None
        driver.adopt(endpoint)
        mine = list(forwards)
        for forward in mine:
            self._ports.take(forward)
        self._claimed.update(mine)
        self._ground.firewall.lead([forward for forward in mine if forward.address])

    def adopted(self) -> None:
        """Every running container has been adopted: ports that are left in the table belong to nobody."""
        if self._ground is None:
            return
        stale = [forward for forward in self._ground.firewall.inherit() if forward not in self._claimed]
        self._ground.firewall.remove(stale)
        self._claimed.clear()

    def verify(self) -> bool:
        """Put our rules back where they were flushed; whether that was needed. Cheap when nothing has changed."""
        return self._ground is not None and self._ground.firewall.verify()

    def rules(self, facts: NetworkFacts, names: Mapping[str, str]) -> Report:
        """What the kernel's rules say of a network; `names` are containers' by address. Raises OSError, System."""
        from sampan.network.rules_report import report  # late: seldom asked for

        if self._ground is None:
            raise System("networks are not open")
        found = next((one for one in self._bridges() if one.settings.id == facts.id), None)
        return report(self._ground, found.zone() if found is not None else None, facts.name, names)

    def fileno(self) -> int:
        """Readable when somebody changed nf_tables: then call `drain`, and `restore` soon."""
        if self._events is None:
            raise System("networks are not open")
        return self._events.fileno()

    def drain(self) -> None:
        """Read the events away."""
        if self._events is not None:
            self._events.drain()

    def restore(self) -> bool:
        """Verify; what the host refuses is logged: the next event or publish tries again."""
        try:
            return self.verify()
        except OSError as error:
            _log.error("the rules of the network cannot be put back: %s", error)
            return False

    def close(self, remove: bool = False) -> None:
        """Let go of the host; bridges and rules stay, unless `remove` says that no container needs them any more."""
        if remove and self._ground is not None:
            drivers: list[NetworkDriver] = [*([self._bridge] if self._bridge else []), *self._user.values()]
            for driver in drivers:
                driver.close(remove)
            self._ground.close()
        self._bridge = None
        self._user.clear()
        for sock in (self._route, self._netfilter, self._events):
            if sock is not None:
                sock.close()
        self._route = self._netfilter = self._events = self._ground = None

    def _default_bridge(self) -> BridgeDriver:
        if self._bridge is None:
            raise System("the default bridge network is disabled (--bridge=none)")
        return self._bridge

    def _forbid(self, address: str) -> None:
        try:
            if self._ground is not None:
                self._ground.firewall.forbid(address)
        except OSError as error:
            _log.warning("links stay in the table until it is verified: %s", error)

    def _driver(self, facts: NetworkFacts) -> BridgeDriver | ParentedDriver | RemoteDriver:
        driver = self._user.get(facts.id)
        if driver is None:
            if facts.definition is not None and facts.definition.config_only:
                raise Forbidden("cannot create endpoint on configuration-only network")
            if facts.is_user_defined:
                raise System(f"the network {facts.name} is not up: see the daemon's log")
            return self._default_bridge()
        return driver

    def _driver_of(self, endpoint: Endpoint) -> BridgeDriver | ParentedDriver | RemoteDriver | None:
        if endpoint.network == ModeKind.BRIDGE:
            return self._bridge
        return self._user.get(endpoint.network_id)

    def withdraw(self, forwards: list[Forward]) -> None:
        """Take back ports; never raises for the host's refusal: it is logged."""
        if self._ground is not None:
            self._publishing().withdraw(forwards)
