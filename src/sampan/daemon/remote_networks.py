"""Networks whose driver, or whose driver of addresses, is a plugin: made, stood in, left and removed.

    create   note ─▶ pools ─▶ CreateNetwork ─▶ the network and its record
    a place  note ─▶ addresses ─▶ CreateEndpoint ─▶ Join ─▶ the link that it made is checked ─▶ the container starts with it
    its end  Revoke ─▶ Leave ─▶ DeleteEndpoint ─▶ addresses ─▶ forgotten

On the event loop, and no network waits for another's plugin. Loaded with the first network of this kind.
"""

import asyncio
import logging
import time
from dataclasses import replace

import msgspec

from sampan.crashpoints import crash_point
from sampan.daemon import remote_ipam
from sampan.daemon.definition import Definition
from sampan.daemon.engine import Engine
from sampan.daemon.network_records import NETWORKS, encode_network
from sampan.daemon.remote_claims import Claim, Claims
from sampan.errors import InvalidParameter, SampanError, System
from sampan.network.creation import define, is_plugin
from sampan.network.definition import NetworkDefinition
from sampan.network.driver import NetworkFacts, Wish, checked_mac
from sampan.network.endpoint import Endpoint
from sampan.network.modes import Mode
from sampan.network.networks import Networks
from sampan.network.ports import parse_ports
from sampan.network.remote import Answered
from sampan.plugins import network_driver as calls
from sampan.spec.ids import NetworkId, new_id
from sampan.spec.networks import NetworkCreateRequest
from sampan.state.store import Delete, Put

_log = logging.getLogger("sampan.network")
_PROTOCOLS = {"tcp": 6, "udp": 17, "sctp": 132}
_LEAVING_SECONDS = 60.0
_OUR_SPACE = "LocalDefault"
"""The address space of Docker's own IPAM driver."""
_INTERNAL = "com.docker.network.internal"


class RemoteNetworks:
    """Those of one daemon."""

    def __init__(self, engine: Engine, networks: Networks) -> None:
        self._engine = engine
        self._networks = networks
        self._claims = Claims(engine)
        self._leaving: dict[str, tuple[NetworkId, asyncio.Task[None]]] = {}

    # ---- networks

    async def create(self, request: NetworkCreateRequest) -> NetworkDefinition:
        """Make one. Raises PluginNotFound and what `define` raises, PluginFailed; then nothing of it is left."""
        ipam = request.ipam.driver if request.ipam and request.ipam.driver not in ("", "default") else ""
        driver = request.driver if is_plugin(request.driver) else ""
        scope = "local"
        if driver:
            scope = await self._scope(driver)
        if ipam:
            await self._claims.ipam_driver(ipam)
        claim = await self._claims.note(Claim(network=NetworkId(new_id()), driver=driver, ipam=ipam))
        try:
            space = _OUR_SPACE
            if ipam:
                request, claim, space = await remote_ipam.requested(
                    self._claims, claim, request, ipv6=bool(request.enable_ipv6)
                )
            definition = self._defined(request, claim, scope)
            if driver:
                claim = await self._claims.note(msgspec.structs.replace(claim, asked=True))
                await (await self._claims.network_driver(driver)).create_network(_network(definition, space))
            self._networks.create(definition)
            try:
                crash_point("network-before-commit")
                # Pools and gateways stay taken as long as the network is there: its record says so from here on.
                await self._engine.commit(
                    [Put(NETWORKS, definition.id, encode_network(definition)), self._claims.gone(claim)]
                )
            except BaseException:
                self._networks.remove(definition.id)
                raise
        except BaseException:
            await asyncio.shield(self._claims.give_back(claim))
            raise
        return definition

    async def _scope(self, driver: str) -> str:
        found = await (await self._claims.network_driver(driver)).capabilities()
        if found.scope not in ("local", "global"):
            raise System(f"invalid capability: expecting local or global, got {found.scope[:40]}")
        return found.scope

    def _defined(self, request: NetworkCreateRequest, claim: Claim, scope: str) -> NetworkDefinition:
        networks = self._networks
        definition = define(
            request,
            claim.network,
            time.time_ns(),
            networks.definitions(),
            networks.subnets(),
            networks.choose_subnet,
            networks.default_options(request.driver),
            remote=bool(claim.driver),
        )
        return replace(
            definition, scope=scope, ipam_driver=claim.ipam, pool_ids=claim.pools, ipam_addresses=claim.addresses
        )

    async def remove(self, definition: NetworkDefinition) -> None:
        """Remove one in which nobody stands. Raises PluginFailed where its driver refuses; then it is still there."""
        going = [task for network, task in self._leaving.values() if network == definition.id]
        if going:
            await asyncio.wait(going, timeout=_LEAVING_SECONDS)
        claim = Claim(
            network=definition.id,
            driver=definition.driver if definition.remote else "",
            ipam=definition.ipam_driver,
            pools=definition.pool_ids,
            addresses=definition.ipam_addresses,
            made=True,
        )
        await self._claims.note(claim)
        if claim.driver:
            try:
                await (await self._claims.network_driver(claim.driver)).delete_network(definition.id)
            except SampanError:
                await self._engine.commit([self._claims.gone(claim)])
                raise
        self._networks.remove(definition.id)
        crash_point("network-after-removal")
        await self._engine.commit([Delete(NETWORKS, definition.id)])
        await self._claims.give_back(claim)

    # ---- places

    def needs(self, facts: NetworkFacts | None) -> bool:
        """Whether a place in this network is a plugin's affair."""
        return facts is not None and facts.definition is not None and facts.definition.asks_plugins

    async def place(self, definition: Definition, facts: NetworkFacts, mode: Mode, wish: Wish) -> Endpoint:
        """A place for a container, its link ready to be moved. Raises SampanError; then nothing of it is left."""
        network = facts.definition
        assert network is not None
        claim = await self._claims.note(
            Claim(network=network.id, driver=network.driver if network.remote else "", ipam=network.ipam_driver)
        )
        endpoint: Endpoint | None = None
        try:
            if network.ipam_driver:
                wish, claim = await remote_ipam.addressed(self._claims, claim, network, wish)
            endpoint = self._networks.connect(definition.id, mode, wish)
            # Before the driver hears of it.
            asked = bool(claim.driver)
            claim = await self._claims.note(msgspec.structs.replace(claim, endpoint=endpoint.endpoint_id, asked=asked))
            crash_point("remote-before-endpoint")
            if asked:
                endpoint = await self._joined(definition, network, endpoint)
        except BaseException:
            if endpoint is not None:
                self._networks.release(endpoint)
            await asyncio.shield(self._claims.give_back(claim))
            raise
        return endpoint

    async def _joined(self, definition: Definition, network: NetworkDefinition, endpoint: Endpoint) -> Endpoint:
        driver = await self._claims.network_driver(network.driver)
        options = (
            dict(definition.endpoints[network.name].driver_opts or {}) if network.name in definition.endpoints else {}
        )
        asked = calls.Interface(
            address=f"{endpoint.address}/{endpoint.prefix}" if endpoint.address else "",
            address_ipv6=f"{endpoint.address6}/{endpoint.prefix6}" if endpoint.address6 else "",
            mac_address=endpoint.mac,
        )
        told = {**options, **_ports(definition)}
        answer = await driver.create_endpoint(calls.CreateEndpoint(network.id, endpoint.endpoint_id, asked, told))
        for wanted, got in (
            (asked.address, answer.address),
            (asked.address_ipv6, answer.address_ipv6),
            (asked.mac_address, answer.mac_address),
        ):
            if wanted and got not in ("", wanted):
                raise System(f"the network driver {network.driver} changed {wanted} to {got[:64]}")
        # A name and no more, in Docker's own spelling: kuryr-libnetwork takes no other.
        key = f"/var/run/docker/netns/{definition.id[:12]}"
        joined = await driver.join(calls.Join(network.id, endpoint.endpoint_id, key, options))
        link = joined.interface_name or calls.InterfaceName()
        mac = answer.mac_address or await self._told_mac(driver, network, endpoint)
        found = self._networks.linked(
            endpoint,
            Answered(
                source=link.src_name,
                prefix=link.dst_prefix,
                name=link.dst_name,
                mac=mac,
                gateway=joined.gateway,
                gateway6=joined.gateway_ipv6,
                routes=tuple(
                    (one.destination, "" if one.route_type == 1 else one.next_hop) for one in joined.static_routes
                ),
            ),
        )
        await driver.program(calls.Connectivity(network.id, endpoint.endpoint_id, _ports(definition)))
        return found

    async def _told_mac(self, driver: calls.NetworkDriver, network: NetworkDefinition, endpoint: Endpoint) -> str:
        """What the driver says of the interface's hardware address; one that says nothing has the link's own."""
        if endpoint.mac:
            return endpoint.mac
        try:
            told = await driver.oper_info(calls.Endpoint(network.id, endpoint.endpoint_id))
            return checked_mac(str(told.get("com.docker.network.endpoint.macaddress", "")))
        except (InvalidParameter, SampanError) as error:
            _log.info("network driver %s: %s", network.driver, error)
            return ""

    def leave(self, endpoint: Endpoint) -> bool:
        """Give a place back, in the background; False where it is no plugin's."""
        claim = self._claims.of(endpoint.endpoint_id)
        if claim is None:
            return False
        task = self._engine.spawn(self._leave(claim, endpoint), "leaving of a network")
        self._leaving[endpoint.endpoint_id] = endpoint.network_id, task
        task.add_done_callback(lambda _: self._leaving.pop(endpoint.endpoint_id, None))
        return True

    async def _leave(self, claim: Claim, endpoint: Endpoint) -> None:
        try:
            await self._claims.give_back(claim)
        finally:
            # Last: nobody gets the address while the plugin still has it.
            self._networks.release(endpoint)

    def settle(self, adopted: set[str]) -> None:
        """Give back what an earlier daemon had taken and nobody stands in; removals that it had begun are finished."""
        for claim in self._claims:
            if claim.endpoint and claim.endpoint in adopted:
                continue
            if claim.made:
                self._networks.remove(claim.network)
            _ = self._engine.spawn(self._settle(claim), "giving back of what a daemon had taken")

    async def _settle(self, claim: Claim) -> None:
        if claim.made:
            await self._engine.commit([Delete(NETWORKS, claim.network)])
            # Whether the driver had heard of it nobody knows any more: it is told once more.
            claim = await self._claims.note(msgspec.structs.replace(claim, asked=True))
        await self._claims.give_back(claim)


def _network(definition: NetworkDefinition, space: str) -> calls.CreateNetwork:
    def data(subnet: str, gateway: str, auxiliary: dict[str, str]) -> tuple[calls.PoolData, ...]:
        if not subnet:
            return ()
        bits = subnet.rpartition("/")[2]
        pool = calls.PoolData(
            address_space=space,
            pool=subnet,
            gateway=f"{gateway}/{bits}" if gateway else "",
            aux_addresses={name: f"{address}/{bits}" for name, address in auxiliary.items()} or None,
        )
        return (pool,)

    return calls.CreateNetwork(
        network_id=definition.id,
        options={
            calls.GENERIC: dict(definition.options),
            "com.docker.network.enable_ipv4": definition.ipv4,
            "com.docker.network.enable_ipv6": definition.ipv6,
            **({_INTERNAL: True} if definition.internal else {}),
        },
        ipv4_data=data(definition.subnet, definition.gateway, definition.pool.auxiliary if definition.pool else {}),
        ipv6_data=data(definition.subnet6, definition.gateway6, definition.pool6.auxiliary if definition.pool6 else {}),
    )


def _ports(definition: Definition) -> dict[str, object]:
    """Exposed and published ports in libnetwork's words."""
    host, config = definition.host, definition.config
    exposed = [(text.partition("/")[0], text.partition("/")[2] or "tcp") for text in config.exposed_ports or ()]
    published = parse_ports(host.port_bindings or {}, ())
    return {
        "com.docker.network.endpoint.exposedports": [
            {"Proto": _PROTOCOLS.get(protocol, 0), "Port": int(port)} for port, protocol in exposed if port.isdecimal()
        ],
        "com.docker.network.portmap": [
            {
                "Proto": _PROTOCOLS.get(one.protocol, 0),
                "IP": "",
                "Port": one.port,
                "HostIP": host_ip,
                "HostPort": one.first,
                "HostPortEnd": one.last,
            }
            for one in published
            for host_ip in one.host_ips
        ],
    }
