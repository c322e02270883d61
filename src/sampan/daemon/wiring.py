"""Networks as starts and ends of containers need them: `needs.Wiring` over `network.networks`."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sampan.daemon import connections, name_servers, resolver_files
from sampan.daemon import endpoints as places
from sampan.daemon.config import DaemonConfig
from sampan.daemon.definition import Definition
from sampan.daemon.needs import Connected, LinkDeed, Names
from sampan.errors import Conflict, Forbidden, InvalidParameter, NotFound, System
from sampan.network import hosts, resolvconf
from sampan.network.arrangement import MOST, arranged, named, numbered, ways
from sampan.network.driver import NetworkFacts, Wish
from sampan.network.endpoint import Endpoint, Published
from sampan.network.modes import Mode, ModeKind, parse_mode
from sampan.network.networks import Networks
from sampan.network.policy import Forward
from sampan.network.ports import parse_ports, published_ports
from sampan.runtime.request import Named, ProxiedPort
from sampan.spec.containers import ContainerConfig
from sampan.spec.host_config import HostConfig
from sampan.spec.ids import ContainerId
from sampan.spec.networks import EndpointSettings

if TYPE_CHECKING:
    from sampan.daemon.engine import Engine
    from sampan.daemon.remote_networks import RemoteNetworks


@dataclass(slots=True)
class _Live:
    endpoints: list[Endpoint]
    """the way out first"""
    published: Published
    connected: Connected


class NetworkWiring:
    """Implements `needs.Wiring`. Everything runs on the event loop: the calls beneath take microseconds to a few milliseconds."""

    def __init__(self, networks: Networks, config: DaemonConfig, names: Names) -> None:
        self._networks = networks
        self._names = names
        self._config = config
        self._live: dict[ContainerId, _Live] = {}
        self._gateways = config.host_gateway_ips
        self._remote: RemoteNetworks | None = None
        self.engine: Engine | None = None
        """set before anything is connected: what plugins have to do with asks for it"""

    @property
    def remote(self) -> "RemoteNetworks":
        """See `needs.Wiring`. Made when it is first needed: most daemons have no network of a plugin's."""
        if self._remote is None:
            from sampan.daemon.remote_networks import RemoteNetworks

            assert self.engine is not None
            self._remote = RemoteNetworks(self.engine, self._networks)
        return self._remote

    def endpoints(self) -> set[str]:
        """The ids of all places that containers stand in."""
        return {endpoint.endpoint_id for live in self._live.values() for endpoint in live.endpoints}

    def check(self, host: HostConfig, config: ContainerConfig, endpoints: Mapping[str, EndpointSettings]) -> None:
        """See `needs.Wiring`."""
        mode = parse_mode(host.network_mode)
        if mode.kind is not ModeKind.CONTAINER:
            parse_ports(host.port_bindings or {}, config.exposed_ports or () if host.publish_all_ports else ())
        name_servers.resolver(self._config, host, mode, host.dns or self._config.dns)
        hosts.parse_extra_hosts(host.extra_hosts or (), self._gateways or ("0.0.0.0",))
        hosts.hostname_of(config.hostname, config.domainname)
        if endpoints and mode.kind is ModeKind.CONTAINER:
            raise InvalidParameter(
                "conflicting options: cannot attach both user-defined and non-user-defined network-modes"
            )
        if len(endpoints) > MOST:
            raise InvalidParameter(f"a container can stand in at most {MOST} networks")
        for name, settings in endpoints.items():
            if name in places.PREDEFINED and name not in (mode.kind.value, "default"):
                raise InvalidParameter(
                    "HostConfig.NetworkMode must match the identity of a network in NetworkSettings.Networks"
                )
            try:
                # A network that is not there may come into being before the start, which says what is missing then. A 404
                # of create would have the command look for an image.
                facts = self._find(name)
                places.check(facts.name if facts else name, settings, facts)
            except InvalidParameter as error:
                raise InvalidParameter(f"invalid config for network {name}: {error}") from error

    def _find(self, reference: str) -> NetworkFacts | None:
        try:
            return self._networks.find(reference)
        except NotFound:
            return None

    async def connect(self, definition: Definition, linked: Sequence[tuple[str, str]] = ()) -> Connected:
        """See `needs.Wiring`."""
        taken: list[Endpoint] = []
        published = Published()
        try:
            for reference, settings in places.asked(definition).items():
                taken.append(await self._place(definition, reference, settings))
            taken = numbered(arranged(taken))
            published = self._publish(definition, taken)
            connected = self._connected(definition, taken, published, linked)
        except BaseException:
            published.close()
            self._give_back(taken, published.forwards)
            raise
        self._live[definition.id] = _Live(taken, published, connected)
        self._tell_names(definition, taken)
        return connected

    async def _place(self, definition: Definition, reference: str, settings: EndpointSettings) -> Endpoint:
        mode = parse_mode(reference)
        mac = definition.config.mac_address if reference == (definition.host.network_mode or "bridge") else ""
        try:
            facts = self._find(reference)
            wish = places.wish(settings, mac, facts, definition.name)
            return await self._connect(definition, facts, mode, wish)
        except (NotFound, Forbidden, Conflict, System) as error:
            raise type(error)(f"failed to set up container networking: {error}") from error

    async def _connect(self, definition: Definition, facts: NetworkFacts | None, mode: Mode, wish: Wish) -> Endpoint:
        if facts is not None and facts.definition is not None and facts.definition.asks_plugins:
            return await self.remote.place(definition, facts, mode, wish)
        return self._networks.connect(definition.id, mode, wish)

    def _release(self, endpoint: Endpoint, forwards: Sequence[Forward] = ()) -> None:
        """Give a place back, whosever affair it is."""
        self._networks.withdraw(list(forwards))
        facts = self._find(endpoint.network_id)
        is_ours = facts is None or facts.definition is None or not facts.definition.asks_plugins
        if is_ours or not self.remote.leave(endpoint):
            self._networks.release(endpoint)

    def _publish(self, definition: Definition, endpoints: Sequence[Endpoint]) -> Published:
        host, config = definition.host, definition.config
        requests = published_ports(host.port_bindings or {}, config.exposed_ports or (), host.publish_all_ports)
        return self._networks.publish(ways(endpoints).published, definition.name, requests)

    def _give_back(self, endpoints: Sequence[Endpoint], forwards: Sequence[Forward]) -> None:
        self._networks.withdraw(list(forwards))
        for endpoint in endpoints:
            self._release(endpoint)

    def connected(self, container: ContainerId) -> Connected | None:
        """See `needs.Wiring`."""
        live = self._live.get(container)
        return None if live is None else live.connected

    def planned(self, definition: Definition) -> dict[str, EndpointSettings]:
        """See `needs.Wiring`."""
        found = {}
        for reference, settings in places.asked(definition).items():
            facts = self._find(reference) if reference not in places.PREDEFINED else None
            found[facts.name if facts else reference] = settings
        return found

    def drivers(self) -> Mapping[str, str]:
        """See `needs.Wiring`."""
        return {facts.name: facts.driver for facts in self._networks.facts()}

    def allow(self, definition: Definition, reference: str, wish: EndpointSettings) -> str:
        """See `needs.Wiring`."""
        facts = self._networks.find(reference)
        mode = parse_mode(definition.host.network_mode)
        if mode.kind is ModeKind.CONTAINER:
            raise InvalidParameter(
                "container sharing network namespace with another container or host cannot be connected to any other network"
            )
        places.check(facts.name, wish, facts)
        if facts.driver == "host" and mode.kind is not ModeKind.HOST:
            raise InvalidParameter(
                "cannot connect container to host network - container must be created in host network mode"
            )
        present = self.planned(definition)
        if facts.name not in present and present:
            if "host" in present:
                raise InvalidParameter(
                    "container sharing network namespace with another container or host cannot be connected to any other "
                    "network"
                )
            if "none" in present or facts.name == "none":
                raise InvalidParameter(
                    "container cannot be connected to multiple networks with one of the networks in private (none) mode"
                )
        if len(present) >= MOST:
            raise InvalidParameter(f"a container can stand in at most {MOST} networks")
        return facts.name

    async def join(self, definition: Definition, network: str, wish: EndpointSettings, deed: LinkDeed) -> Connected:
        """See `needs.Wiring`. `definition` knows of the network already."""
        live = self._live[definition.id]
        facts = self._find(network)
        asked = places.wish(wish, facts=facts, owner=definition.name)
        endpoint = await self._connect(definition, facts, parse_mode(network), asked)
        opened, before = Published(), ways(live.endpoints)
        try:
            present = [one for one in live.endpoints if one.link is not None]
            after = arranged([*present, named(endpoint, present)])
            endpoint = next(one for one in after if one.endpoint_id == endpoint.endpoint_id)
            if not live.published.forwards and before.published.endpoint is None:
                # Held by the daemon: the monitor was not given them at the start.
                opened = self._publish(definition, after)
            back = places.change(before, remove=endpoint.link)
            await deed.relink(places.change(ways(after), add=endpoint.link), back)
            await self._recorded(definition, live, after, opened, deed)
        except BaseException:
            opened.close()
            self._release(endpoint, opened.forwards)
            raise
        return live.connected

    async def _recorded(
        self, definition: Definition, live: _Live, after: list[Endpoint], opened: Published, deed: LinkDeed
    ) -> None:
        """Take note of a change that was made, and have it recorded; where that fails it was taken back, here as well."""
        was, published, endpoints = deed.was, live.published, live.endpoints
        if opened.forwards:
            live.published = opened
            self._proxy(definition.id, opened)
        try:
            await deed.record(self._changed(definition, live, after))
        except System:
            live.published = published if opened.forwards else live.published
            self._changed(was, live, endpoints)
            raise

    async def leave(self, definition: Definition, network: str, deed: LinkDeed) -> Connected:
        """See `needs.Wiring`. `definition` knows of the network no more."""
        live = self._live[definition.id]
        gone = next(one for one in live.endpoints if one.network == network)
        after = arranged([one for one in live.endpoints if one is not gone])
        back = places.change(ways(live.endpoints), add=gone.link, remove=gone.link)
        await deed.relink(places.change(ways(after), remove=gone.link), back)
        await self._recorded(definition, live, after, Published(), deed)
        self._release(gone)
        return live.connected

    def _changed(self, definition: Definition, live: _Live, after: list[Endpoint]) -> Connected:
        """Take note of a change; published ports follow the way out."""
        before = ways(live.endpoints).published
        was_named = any(endpoint.network not in places.PREDEFINED for endpoint in live.endpoints)
        live.endpoints = after
        if ways(after).published != before and live.published.forwards:
            try:
                forwards = self._networks.redirect(live.published.forwards, ways(after).published)
            except OSError as error:
                raise System(f"published ports stay behind: {error}") from error
            live.published = replace(live.published, forwards=forwards)
            self._proxy(definition.id, live.published)
        live.connected = self._connected(definition, after, live.published)
        self._tell_names(definition, after, was_named)
        return live.connected

    def _tell_names(self, definition: Definition, endpoints: Sequence[Endpoint], was_named: bool = False) -> None:
        """Tell what the container is called in its networks. Of one that stands in none of a user's own, and did not, nothing."""
        wishes = self.planned(definition)
        own = [endpoint for endpoint in endpoints if endpoint.network not in places.PREDEFINED]
        if not own and not was_named:
            return
        self.follow_host()
        networks = {str(one.network_id): places.named(definition, one, wishes.get(one.network)) for one in endpoints}
        self._names.know(definition.id, Named(networks, name_servers.told(self._config, definition)))

    def follow_host(self) -> None:
        """Have the resolver ask whom the host asks, its servers on loopback included: it stands in the host's network."""
        if not self._live:
            return
        servers = resolver_files.host_resolver(own_loopback=False).servers
        self._names.use_servers(servers or resolvconf.FALLBACK_SERVERS)

    def renamed(self, definition: Definition) -> None:
        """See `needs.Wiring`."""
        live = self._live.get(definition.id)
        if live is not None:
            live.connected = replace(
                live.connected, settings=connections.settings(definition, live.endpoints, self.planned(definition))
            )
            self._tell_names(definition, live.endpoints)

    def adopt(self, definition: Definition, kept: bytes) -> None:
        """See `needs.Wiring`."""
        record = places.decode_kept(kept)
        endpoints = [*([record.endpoint] if record.endpoint is not None else []), *record.more]
        for number, endpoint in enumerate(endpoints):
            self._networks.adopt(endpoint, record.forwards if number == 0 else ())
        published = Published(record.forwards)
        connected = Connected(
            interfaces=tuple(one.link.name for one in endpoints if one.link is not None),
            settings=connections.settings(definition, endpoints, self.planned(definition)),
            ports=connections.ports(definition, endpoints, record.forwards),
            resolv_conf=name_servers.resolv_conf(self._config, definition, endpoints),
            kept=kept,
        )
        self._live[definition.id] = _Live(endpoints, published, connected)
        self._tell_names(definition, endpoints)
        self._proxy(definition.id, published)

    def link(self, parent: ContainerId, child: ContainerId, exposed: Iterable[str]) -> None:
        """See `needs.Wiring`."""
        ends = self._live.get(parent), self._live.get(child)
        if ends[0] is not None and ends[1] is not None:
            ports = (text.partition("/") for text in exposed)
            wanted = [(int(number), protocol or "tcp") for number, _, protocol in ports]
            pair = _on_bridge(ends[0]), _on_bridge(ends[1])
            if pair[0] is not None and pair[1] is not None:
                self._networks.link(pair[0], pair[1], wanted)

    def unlink(self, parent: ContainerId, child: ContainerId) -> None:
        """See `needs.Wiring`."""
        ends = self._live.get(parent), self._live.get(child)
        if ends[0] is not None and ends[1] is not None:
            pair = _on_bridge(ends[0]), _on_bridge(ends[1])
            if pair[0] is not None and pair[1] is not None:
                self._networks.unlink(pair[0], pair[1])

    def started(self, container: ContainerId) -> None:
        """See `needs.Wiring`."""
        if (live := self._live.get(container)) is not None:
            self._proxy(container, live.published)
            live.published.close()

    def _proxy(self, container: ContainerId, published: Published) -> None:
        """Have those callers served whom no rule can send on."""
        ports = tuple(
            ProxiedPort(one.protocol, one.host_ip, one.host_port, one.address, one.port, one.outside)
            for one in published.forwards
            if one.is_proxied and one.address
        )
        self._names.proxy(container, ports, [sock for sock in published.held if sock.fileno() >= 0])

    def release(self, container: ContainerId) -> None:
        """See `needs.Wiring`."""
        live = self._live.pop(container, None)
        if live is not None:
            live.published.close()
            self._give_back(live.endpoints, live.published.forwards)
            self._names.unname(container)

    def _connected(
        self,
        definition: Definition,
        endpoints: Sequence[Endpoint],
        published: Published,
        linked: Sequence[tuple[str, str]] = (),
    ) -> Connected:
        gateways = self._gateways or self._networks.host_addresses()
        wishes = self.planned(definition)
        return connections.connected(self._config, definition, endpoints, published, wishes, gateways, linked)


def _on_bridge(live: _Live) -> Endpoint | None:
    return next((endpoint for endpoint in live.endpoints if endpoint.network == ModeKind.BRIDGE), None)
