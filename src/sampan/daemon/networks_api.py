"""Networks as the API shows them and calls for them."""

import time

from sampan.daemon import matching, network_changes
from sampan.daemon.engine import Engine
from sampan.daemon.times import parse_time, rfc3339
from sampan.errors import InvalidParameter, NotFound, SampanError, System
from sampan.network.creation import PREDEFINED
from sampan.network.definition import NetworkDefinition, Pool
from sampan.network.driver import NetworkFacts
from sampan.network.networks import Networks
from sampan.spec import requests as r
from sampan.spec.networks import (
    IPAM,
    ConfigReference,
    EndpointSettings,
    IPAMConfig,
    Network,
    NetworkConnectRequest,
    NetworkContainer,
    NetworkCreateRequest,
    NetworkCreateResponse,
    NetworkDisconnectRequest,
    NetworkRules,
    NetworksPruneReport,
)

_KEYS = frozenset({"dangling", "driver", "id", "label", "name", "scope", "type"})
_PRUNE_KEYS = frozenset({"label", "label!", "until"})


class NetworksApi:
    """Implements `api.backend.Networks`."""

    def __init__(self, engine: Engine, networks: Networks) -> None:
        self._engine = engine
        self._networks = networks
        self._since = rfc3339(time.time_ns())

    async def list(self, filters: r.Filters) -> list[Network]:
        """Networks, without their containers."""
        matching.check_keys(filters, _KEYS)
        dangling = _dangling(filters)
        for kind in filters.get("type") or ():
            if kind not in ("builtin", "custom"):
                raise System(f"invalid filter: 'type'='{kind}'")
        return [self._shown(facts) for facts in self._networks.facts() if self._fits(facts, filters, dangling)]

    def _fits(self, facts: NetworkFacts, filters: r.Filters, dangling: bool | None) -> bool:
        labels = facts.definition.labels if facts.definition else {}
        return (
            matching.pattern(filters, "name", facts.name)
            and matching.pattern(filters, "id", facts.id)
            and matching.exact(filters, "driver", facts.driver)
            and matching.exact(filters, "scope", facts.definition.scope if facts.definition else "local")
            and matching.exact(filters, "type", "custom" if facts.is_user_defined else "builtin")
            and matching.labels(filters, "label", labels)
            and (dangling is None or dangling is self._dangles(facts))
        )

    def _dangles(self, facts: NetworkFacts) -> bool:
        return facts.is_user_defined and not network_changes.members(self._engine, facts.name)

    async def inspect(self, name: str, scope: str) -> Network:
        """One network, with its containers."""
        if scope not in ("", "local"):
            raise NotFound(f"network {name} not found")
        facts = self._networks.find(name)
        return self._shown(facts, self._containers(facts.name))

    async def rules(self, name: str) -> NetworkRules:
        """What the kernel's rules say of one network. Raises NotFound, System."""
        facts = self._networks.find(name)
        names = {
            address: f"{container.name} ({container.id[:12]})"
            for container in self._engine.containers
            if (connected := self._engine.wiring.connected(container.id)) is not None
            for settings in connected.settings.values()
            for address in (settings.ip_address, settings.global_ipv6_address)
            if address
        }
        try:
            found = self._networks.rules(facts, names)
        except OSError as error:
            raise System(f"the rules of the network {facts.name} cannot be read: {error}") from error
        return NetworkRules(network=facts.name, text=found.text, drift=found.drift)

    async def create(self, request: NetworkCreateRequest) -> NetworkCreateResponse:
        """Make one."""
        made = await network_changes.create(self._engine, self._networks, request)
        return NetworkCreateResponse(id=made.id)

    async def remove(self, name: str) -> None:
        """Remove it."""
        await network_changes.remove(self._engine, self._networks, self._networks.find(name))

    async def connect(self, name: str, request: NetworkConnectRequest) -> None:
        """Let a container in."""
        wish = request.endpoint_config or EndpointSettings()
        await network_changes.connect(self._engine, name, request.container, wish)

    async def disconnect(self, name: str, request: NetworkDisconnectRequest) -> None:
        """Take a container out."""
        facts = self._networks.find(name)
        await network_changes.disconnect(self._engine, facts, request.container, request.force)

    async def prune(self, filters: r.Filters) -> NetworksPruneReport:
        """Remove networks in which no container stands."""
        removed = []
        for facts in prunable(self._engine, self._networks, filters):
            try:
                await network_changes.remove(self._engine, self._networks, facts)
            except SampanError:
                # A container came in between; Docker passes over it, too.
                continue
            removed.append(facts.name)
        self._engine.events.publish("network", "prune", "", {"reclaimed": "0"})
        return NetworksPruneReport(networks_deleted=tuple(removed) or None)

    def _containers(self, network: str) -> dict[str, NetworkContainer]:
        return {
            container.id: NetworkContainer(
                name=container.name,
                endpoint_id=settings.endpoint_id,
                mac_address=settings.mac_address,
                ipv4_address=f"{settings.ip_address}/{settings.ip_prefix_len}" if settings.ip_address else "",
                ipv6_address=(
                    f"{settings.global_ipv6_address}/{settings.global_ipv6_prefix_len}"
                    if settings.global_ipv6_address
                    else ""
                ),
            )
            for container, settings in network_changes.members(self._engine, network)
        }

    def _shown(self, facts: NetworkFacts, containers: dict[str, NetworkContainer] | None = None) -> Network:
        definition = facts.definition
        if definition is None:
            pairs = ((facts.subnet, facts.gateway), (facts.subnet6, facts.gateway6))
            pools = tuple(IPAMConfig(subnet=subnet, gateway=gateway) for subnet, gateway in pairs if subnet)
            return Network(
                name=facts.name,
                id=facts.id,
                created=self._since,
                scope="local",
                driver=facts.driver,
                enable_ipv4=True,
                enable_ipv6=bool(facts.subnet6),
                ipam=IPAM(driver="default", config=pools),
                containers=containers or {},
                options=dict(facts.options),
            )
        return Network(
            name=facts.name,
            id=facts.id,
            created=rfc3339(definition.created_ns),
            scope=definition.scope,
            driver=facts.driver,
            enable_ipv4=definition.ipv4,
            enable_ipv6=definition.ipv6,
            ipam=IPAM(
                driver=definition.ipam_driver or "default",
                options=definition.ipam_options,
                config=_pools(definition) or None,
            ),
            internal=definition.internal,
            attachable=definition.attachable,
            containers=containers or {},
            options=definition.options,
            labels=definition.labels,
            config_only=definition.config_only,
            config_from=ConfigReference(network=definition.config_from),
        )


def _pools(definition: NetworkDefinition) -> tuple[IPAMConfig, ...]:
    """What was asked for; where nothing was, what it got. IPv4 first."""
    more = [(one.pool, one.subnet, one.gateway) for one in definition.more]
    families = (
        (definition.pool, definition.subnet, definition.gateway),
        *(one for one in more if ":" not in one[0].subnet),
        (definition.pool6, definition.subnet6, definition.gateway6),
        *(one for one in more if ":" in one[0].subnet),
    )
    return tuple(_pool(*family) for family in families if family[0] is not None or family[1])


def _pool(pool: Pool | None, subnet: str, gateway: str) -> IPAMConfig:
    if pool is None or not pool.subnet:
        return IPAMConfig(subnet=subnet, gateway=gateway)
    return IPAMConfig(
        subnet=pool.subnet,
        ip_range=pool.ip_range,
        gateway=pool.gateway,
        auxiliary_addresses=dict(pool.auxiliary) or None,
    )


def _dangling(filters: r.Filters) -> bool | None:
    try:
        return matching.boolean(filters, "dangling", default=False) if filters.get("dangling") else None
    except InvalidParameter as error:
        raise InvalidParameter(
            """invalid value for filter 'dangling', must be "true" (or "1"), or "false" (or "0")"""
        ) from error


def prunable(engine: Engine, networks: Networks, filters: r.Filters) -> list[NetworkFacts]:
    """The networks of users in which no container stands, as far as they fit. Raises InvalidParameter for filters."""
    matching.check_keys(filters, _PRUNE_KEYS)
    until = _until(filters)
    return [
        facts
        for facts in networks.facts()
        if facts.definition is not None
        and facts.name not in PREDEFINED
        and _is_pruned(facts.definition, filters, until)
        and not network_changes.members(engine, facts.name)
    ]


def _until(filters: r.Filters) -> int | None:
    asked = list(filters.get("until") or ())
    if len(asked) > 1:
        raise InvalidParameter("more than one until filter specified")
    try:
        return parse_time(asked[0], time.time_ns()) if asked else None
    except InvalidParameter as error:
        raise InvalidParameter(f'failed to parse value as time or duration: "{asked[0]}"') from error


def _is_pruned(definition: NetworkDefinition, filters: r.Filters, until: int | None) -> bool:
    if until is not None and definition.created_ns > until:
        return False
    unwanted = any(
        matching.labels({"label": (label,)}, "label", definition.labels) for label in filters.get("label!") or ()
    )
    return matching.labels(filters, "label", definition.labels) and not unwanted
