"""A create request judged: what network it means, or why it can be none. Pure; the wording is Docker's.

request ─▶ name ─▶ options and families ─▶ pools ─▶ (a configuration's in their place) ─▶ driver ─▶ subnets and gateways
"""

import ipaddress
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from sampan.errors import Conflict, Forbidden, InvalidParameter, NotFound, Unavailable
from sampan.network import creation_pools
from sampan.network import definition as options
from sampan.network.creation_options import check_options, is_link_name, is_true
from sampan.network.definition import Further, GatewayMode, NetworkDefinition, Pool
from sampan.network.ipam import Subnet, overlap
from sampan.network.parented_options import PARENTED, check_sharing, dummy_name, parented_options
from sampan.spec.ids import NetworkId
from sampan.spec.networks import NetworkCreateRequest

BUILT_IN = ("", "default", "bridge", "overlay", "host", "null", *PARENTED)
"""Drivers that are the engine's own affair, be it to refuse them; whatever else is named is a plugin."""
PREDEFINED = frozenset(("bridge", "host", "none", "default"))
_NAME_LIMIT = 255
_GATEWAY_MODES = {4: options.GATEWAY_MODE, 6: options.GATEWAY_MODE6}
_NO_SWARM = (
    'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm '
    "and try again."
)

Choose = Callable[[int], Subnet]
"""Finds a subnet of a family (4 or 6) that nobody uses. Raises InvalidParameter where there is none."""


@dataclass(frozen=True, slots=True)
class _Configuration:
    """What may come from the request, or from a network that is a configuration only."""

    ipv4: bool
    ipv6: bool
    pool: Pool | None
    pool6: Pool | None
    options: dict[str, str]
    labels: dict[str, str]
    ipam_options: dict[str, str] | None
    more: tuple[Pool, ...] = ()
    """further subnets"""
    source: str = ""

    def is_plain(self) -> bool:
        """Whether nothing was said."""
        pools = self.pool is not None or self.pool6 is not None
        return self.ipv4 and not self.ipv6 and not pools and not self.labels and not self.ipam_options


@dataclass(frozen=True, slots=True)
class _Allotted:
    """What one family got."""

    subnet: str = ""
    gateway: str = ""
    pool: Pool | None = None


_Allocation = tuple[_Allotted, _Allotted, tuple[Further, ...]]
"""IPv4's, IPv6's, further subnets."""


def define(
    request: NetworkCreateRequest,
    network_id: NetworkId,
    created_ns: int,
    present: Sequence[NetworkDefinition],
    occupied: Sequence[Subnet],
    choose: Choose,
    defaults: Mapping[str, str] | None = None,
    *,
    remote: bool = False,
) -> NetworkDefinition:
    """The network that `request` means. `present` are those there are, `occupied` the subnets of all, the default one's included.

    `defaults` are options of the daemon's for what the request leaves open; `remote`: its driver is a plugin, which knows what its
    options mean. Raises InvalidParameter, Conflict, Forbidden,
    NotFound, NotImplementedHere (an option), Unavailable, System.
    """
    _check_name(request.name, present)
    _check_swarm(request)
    asked = _asked(request, defaults or {})
    _check_configuration(request, asked)
    if request.config_only:
        kept = (_Allotted(pool=asked.pool), _Allotted(pool=asked.pool6), tuple(Further(one) for one in asked.more))
        return _definition(request, network_id, created_ns, asked, kept)
    if not remote:
        _check_driver(request.driver)
    config = _configured(request, asked, present)
    if remote:
        allotted = _allot(config, (), occupied, choose)
        return _definition(request, network_id, created_ns, config, allotted, remote=True)
    if request.driver in PARENTED:
        return _parented(request, network_id, created_ns, config, present, occupied, choose)
    if any(config.ipv6 or _version(one) == 4 for one in config.more):
        raise Forbidden("bridge driver doesn't support multiple subnets")
    check_options(config.options, request.internal)
    _check_link(config.options, present)
    if not config.ipv4 and not config.ipv6:
        raise InvalidParameter("IPv4 or IPv6 must be enabled")
    modes = {version: config.options.get(key, "") for version, key in _GATEWAY_MODES.items()}
    without = {version for version, mode in modes.items() if mode == GatewayMode.ISOLATED}
    if request.internal and is_true(config.options.get(options.INHIBIT_IPV4, "")):
        # Nobody needs to know the host's address where it has none and leads nowhere.
        without.add(4)
    allotted = _allot(config, without, occupied, choose)
    return _definition(request, network_id, created_ns, config, allotted)


def _parented(
    request: NetworkCreateRequest,
    network_id: NetworkId,
    created_ns: int,
    config: _Configuration,
    present: Sequence[NetworkDefinition],
    occupied: Sequence[Subnet],
    choose: Choose,
) -> NetworkDefinition:
    """A macvlan or ipvlan network; it may do without any address. Only where a router is asked is an address kept for it."""
    wanted = parented_options(request.driver, config.options)
    needs_gateway = wanted.leads_out(request.internal) and not wanted.is_straight
    allotted = _allot(config, () if needs_gateway else (4, 6), occupied, choose, unless_named=True)
    check_sharing(wanted, present)
    parent = wanted.parent or dummy_name(request.driver, network_id)
    return _definition(request, network_id, created_ns, config, allotted, parent=parent)


def _definition(
    request: NetworkCreateRequest,
    network_id: NetworkId,
    created_ns: int,
    config: _Configuration,
    allotted: _Allocation,
    parent: str = "",
    remote: bool = False,
) -> NetworkDefinition:
    ipv4, ipv6, more = allotted
    has_bridge = not request.config_only and not parent and not remote
    link = (config.options.get(options.BRIDGE_NAME) or f"sp-{network_id[:12]}") if has_bridge else ""
    return NetworkDefinition(
        id=network_id,
        name=request.name,
        created_ns=created_ns,
        subnet=ipv4.subnet,
        gateway=ipv4.gateway,
        bridge=link,
        pool=ipv4.pool,
        subnet6=ipv6.subnet,
        gateway6=ipv6.gateway,
        pool6=ipv6.pool,
        internal=request.internal,
        attachable=request.attachable,
        labels=config.labels,
        options=config.options,
        ipam_options=config.ipam_options,
        config_only=request.config_only,
        config_from=config.source,
        driver=request.driver if parent or remote else "bridge",
        remote=remote,
        parent=parent,
        ipv4=config.ipv4,
        ipv6=config.ipv6,
        more=more,
    )


def _check_name(name: str, present: Sequence[NetworkDefinition]) -> None:
    if name in PREDEFINED:
        raise Forbidden(f"operation is not permitted on predefined {name} network ")
    if not name.strip():
        raise InvalidParameter("invalid name: name is empty")
    if len(name) > _NAME_LIMIT or not name.isprintable() or "/" in name:
        raise InvalidParameter(f"invalid name: {name[:_NAME_LIMIT]!r}")
    if any(other.name == name for other in present):
        raise Conflict(f"network with name {name} already exists")


def _check_swarm(request: NetworkCreateRequest) -> None:
    if request.driver == "overlay":
        raise Forbidden(_NO_SWARM)
    if request.scope not in ("", "local"):
        raise Unavailable(_NO_SWARM)
    if request.ingress:
        raise Forbidden("Ingress network can only be global scope network")


def _check_driver(driver: str) -> None:
    if driver in ("host", "null"):
        raise Forbidden(f'only one instance of "{driver}" network is allowed')
    if driver not in ("", "default", "bridge", *PARENTED):
        raise NotFound(f'plugin "{driver}" not found')


def _asked(request: NetworkCreateRequest, defaults: Mapping[str, str]) -> _Configuration:
    given = dict(request.options or {})
    if not (request.config_from and request.config_from.network):
        given = {**defaults, **given}
    families: list[bool] = []
    for said, key, default in (
        (request.enable_ipv4, options.ENABLE_IPV4, True),
        (request.enable_ipv6, options.ENABLE_IPV6, False),
    ):
        if said is not None:
            given.pop(key, None)
        elif key in given:
            check_options({key: given[key]})
        families.append(said if said is not None else is_true(given[key]) if key in given else default)
    ipv4, ipv6 = families
    pools, pools6 = creation_pools.pools(request.ipam, ipv6)
    ipam_options = request.ipam.options if request.ipam else None
    return _Configuration(
        ipv4,
        ipv6,
        next(iter(pools), None),
        next(iter(pools6), None),
        given,
        dict(request.labels or {}),
        ipam_options,
        (*pools[1:], *pools6[1:]),
    )


def _check_configuration(request: NetworkCreateRequest, asked: _Configuration) -> None:
    """Configurations hold what a network is, and not what is done with it; what uses one says nothing itself."""
    from_other = bool(request.config_from and request.config_from.network)
    if request.config_only and (request.ingress or request.internal or request.attachable or request.scope):
        raise Forbidden(
            "configuration network can only contain network specific fields. Network operator fields like "
            "[ ingress | internal | attachable | scope ] are not supported."
        )
    if not from_other:
        return
    if request.config_only:
        raise Forbidden("a configuration network cannot depend on another configuration network")
    if not asked.is_plain():
        raise Forbidden(
            "user specified configurations are not supported if the network depends on a configuration network"
        )
    if asked.options:
        raise Forbidden("network driver options are not supported if the network depends on a configuration network")


def _configured(
    request: NetworkCreateRequest, asked: _Configuration, present: Sequence[NetworkDefinition]
) -> _Configuration:
    name = request.config_from.network if request.config_from else ""
    if not name:
        return asked
    for other in present:
        if other.name == name and other.config_only:
            return _Configuration(
                other.ipv4,
                other.ipv6,
                other.pool,
                other.pool6,
                other.options,
                other.labels,
                other.ipam_options,
                tuple(one.pool for one in other.more),
                name,
            )
    raise NotFound(f'configuration network "{name}" does not exist')


def _check_link(given: Mapping[str, str], present: Sequence[NetworkDefinition]) -> None:
    name = given.get(options.BRIDGE_NAME, "")
    if not name:
        return
    if not is_link_name(name):
        raise InvalidParameter(f"invalid bridge name: {name[:_NAME_LIMIT]!r}")
    for other in present:
        if other.bridge == name:
            raise Forbidden(f"conflicts with network {other.id} ({other.name}): networks have same bridge name")


def _allot(
    config: _Configuration,
    without: Collection[int],
    occupied: Sequence[Subnet],
    choose: Choose,
    unless_named: bool = False,
) -> _Allocation:
    """What each subnet gets; some families do `without` a gateway, with `unless_named` only where none is asked for."""
    taken = [*occupied]

    def allot(version: int, pool: Pool | None, wanted: bool) -> _Allotted:
        if not wanted:
            return _Allotted(pool=pool)
        is_named = unless_named and pool is not None and bool(pool.gateway)
        found = _family(version, pool, version not in without or is_named, taken, choose)
        taken.append(ipaddress.ip_network(found.subnet))
        return found

    ipv4, ipv6 = allot(4, config.pool, config.ipv4), allot(6, config.pool6, config.ipv6)
    more = []
    for pool in config.more:
        version = _version(pool)
        found = allot(version, pool, config.ipv4 if version == 4 else config.ipv6)
        more.append(Further(pool, found.subnet, found.gateway))
    return ipv4, ipv6, tuple(more)


def _version(pool: Pool) -> int:
    return ipaddress.ip_network(pool.subnet, strict=False).version


def _family(
    version: int, pool: Pool | None, needs_gateway: bool, occupied: Sequence[Subnet], choose: Choose
) -> _Allotted:
    """Subnet and gateway of one family."""
    if pool is None or not pool.subnet:
        subnet = choose(version)
    else:
        subnet = ipaddress.ip_network(pool.subnet)
        if any(overlap(subnet, other) for other in occupied):
            raise Forbidden("invalid pool request: Pool overlaps with other one on this address space")
    own = creation_pools.gateway(subnet, pool) if needs_gateway else ""
    if version == 6:
        creation_pools.check_subnet6(subnet, own)
    return _Allotted(str(subnet), own, pool)


def is_plugin(driver: str) -> bool:
    """Whether a driver's name is none of the engine's own."""
    return driver not in BUILT_IN


def is_remote(request: NetworkCreateRequest) -> bool:
    """Whether a plugin has to do with a network."""
    ipam = request.ipam.driver if request.ipam else ""
    return not request.config_only and (is_plugin(request.driver) or ipam not in ("", "default"))
