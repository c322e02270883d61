"""A create request judged: what network it means, or why it can be none. Pure; the wording is Docker's."""

import ipaddress
from collections.abc import Callable, Mapping, Sequence

from sampan.errors import Conflict, Forbidden, InvalidParameter, NotFound, NotImplementedHere, Unavailable
from sampan.network import definition as options
from sampan.network.definition import NetworkDefinition, Pool
from sampan.spec.ids import NetworkId
from sampan.spec.networks import IPAM, NetworkCreateRequest

PREDEFINED = frozenset(("bridge", "host", "none", "default"))
_NAME_LIMIT = 255
_LINK_LIMIT = 15
"""IFNAMSIZ without the NUL."""
_OPTION_LIMIT = 64 * 1024
_LEAST_PREFIX = 1
_MOST_PREFIX = 30
_KNOWN = "com.docker.network."
_HONOURED = frozenset(
    (options.BRIDGE_NAME, options.ENABLE_ICC, options.ENABLE_MASQUERADE, options.HOST_BINDING, options.MTU)
)
_NO_SWARM = (
    'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm '
    "and try again."
)
_TRUE = frozenset(("1", "t", "T", "TRUE", "true", "True"))
_FALSE = frozenset(("0", "f", "F", "FALSE", "false", "False"))

Choose = Callable[[], ipaddress.IPv4Network]
"""Finds a subnet that nobody uses. Raises InvalidParameter where there is none."""


def define(
    request: NetworkCreateRequest,
    network_id: NetworkId,
    created_ns: int,
    present: Sequence[NetworkDefinition],
    occupied: Sequence[ipaddress.IPv4Network],
    choose: Choose,
) -> NetworkDefinition:
    """The network that `request` means. `present` are those there are, `occupied` the subnets of all, the default one's included.

    Raises InvalidParameter, Conflict, Forbidden, NotFound, NotImplementedHere, Unavailable.
    """
    _check_name(request.name, present)
    _check_kind(request)
    given = dict(request.options or {})
    check_options(given)
    pool = _pool(request.ipam)
    _check_link(given, present)
    if pool is None or not pool.subnet:
        subnet = choose()
    else:
        subnet = ipaddress.IPv4Network(pool.subnet)
        if any(subnet.overlaps(other) for other in occupied):
            raise Forbidden("invalid pool request: Pool overlaps with other one on this address space")
    return NetworkDefinition(
        id=network_id,
        name=request.name,
        created_ns=created_ns,
        subnet=str(subnet),
        gateway=str(_gateway(subnet, pool)),
        bridge=given.get(options.BRIDGE_NAME) or f"sp-{network_id[:12]}",
        pool=pool,
        internal=request.internal,
        attachable=request.attachable,
        labels=dict(request.labels or {}),
        options=given,
        ipam_options=request.ipam.options if request.ipam else None,
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


def _check_kind(request: NetworkCreateRequest) -> None:
    """Driver, scope, and what belongs to swarm."""
    if request.driver == "overlay":
        raise Forbidden(_NO_SWARM)
    if request.scope not in ("", "local"):
        raise Unavailable(_NO_SWARM)
    if request.ingress:
        raise Forbidden("Ingress network can only be global scope network")
    if request.driver in ("host", "null"):
        raise Forbidden(f'only one instance of "{request.driver}" network is allowed')
    if request.driver in ("macvlan", "ipvlan"):
        raise NotImplementedHere(f"network driver {request.driver} is not implemented yet")
    if request.driver not in ("", "default", "bridge"):
        raise NotFound(f'plugin "{request.driver}" not found')
    if request.config_only or (request.config_from and request.config_from.network):
        raise NotImplementedHere("configuration-only networks are not implemented yet")
    if request.enable_ipv6:
        raise NotImplementedHere("networks with IPv6 are not implemented yet")
    if request.enable_ipv4 is False:
        raise InvalidParameter("IPv4 or IPv6 must be enabled")


def check_options(given: Mapping[str, str]) -> None:
    """Options of the driver: known ones by their values; those of Docker that are not there yet by name."""
    if sum(len(key) + len(value) for key, value in given.items()) > _OPTION_LIMIT:
        raise InvalidParameter("the options are too long")
    for key, value in given.items():
        if key.startswith(_KNOWN) and key not in _HONOURED:
            raise NotImplementedHere(f"network option {key} is not implemented yet")
        if key in (options.ENABLE_ICC, options.ENABLE_MASQUERADE) and value not in _TRUE | _FALSE:
            raise InvalidParameter(
                f'failed to parse {key} value: {value}: strconv.ParseBool: parsing "{value}": invalid syntax'
            )
    mtu = given.get(options.MTU, "")
    if mtu and not (mtu.isascii() and mtu.isdecimal() and 68 <= int(mtu[:6]) <= 65535):
        raise InvalidParameter(f"failed to parse {options.MTU} value: {mtu}: it is no MTU from 68 to 65535")
    if binding := given.get(options.HOST_BINDING, ""):
        try:
            ipaddress.IPv4Address(binding)
        except ValueError as error:
            raise InvalidParameter(
                f"failed to parse {options.HOST_BINDING} value: {binding}: it is no IPv4 address"
            ) from error


def is_true(value: str) -> bool:
    """An option's yes or no, after `check_options`."""
    return value in _TRUE


def _check_link(given: Mapping[str, str], present: Sequence[NetworkDefinition]) -> None:
    name = given.get(options.BRIDGE_NAME, "")
    if not name:
        return
    if (
        len(name) > _LINK_LIMIT
        or not name.isascii()
        or not name.isprintable()
        or set(name) & set("/ :%")
        or name in (".", "..")
    ):
        raise InvalidParameter(f"invalid bridge name: {name[:_NAME_LIMIT]!r}")
    for other in present:
        if other.bridge == name:
            raise Forbidden(f"conflicts with network {other.id} ({other.name}): networks have same bridge name")


def _pool(ipam: IPAM | None) -> Pool | None:
    """The one pool that a bridge network can have; None where nothing was said."""
    if ipam is None:
        return None
    if ipam.driver not in ("", "default"):
        raise NotFound(f'plugin "{ipam.driver}" not found')
    configs = ipam.config or ()
    faults: list[str] = []
    for config in configs:
        faults += _faults(config.subnet, config.ip_range, config.gateway, config.auxiliary_addresses or {})
    if faults:
        raise InvalidParameter("invalid network config:\n" + "\n".join(faults))
    if len(configs) > 1:
        raise Forbidden("bridge driver doesn't support multiple subnets")
    if not configs:
        return None
    config = configs[0]
    return Pool(config.subnet, config.ip_range, config.gateway, dict(config.auxiliary_addresses or {}))


def _faults(subnet_text: str, range_text: str, gateway: str, auxiliary: Mapping[str, str]) -> list[str]:
    subnet = _prefix(subnet_text)
    if subnet is None:
        return [f"invalid subnet {subnet_text}: invalid CIDR block notation"]
    if subnet.version == 6:
        raise NotImplementedHere("networks with IPv6 are not implemented yet")
    faults = []
    if str(subnet.network) != subnet_text:
        faults.append(f"invalid subnet {subnet_text}: it should be {subnet.network}")
    if not _LEAST_PREFIX <= subnet.network.prefixlen <= _MOST_PREFIX:
        faults.append(f"invalid subnet {subnet_text}: it has no room for a gateway and a container")
    if range_text:
        faults += _range_faults(range_text, subnet)
    if gateway and (fault := _address_fault(gateway, subnet)):
        faults.append(f"invalid gateway {gateway}: {fault}")
    for name, address in auxiliary.items():
        if fault := _address_fault(address, subnet):
            faults.append(f"invalid auxiliary address {name}: {fault}")
    return faults


_Interface = ipaddress.IPv4Interface | ipaddress.IPv6Interface


def _prefix(text: str) -> _Interface | None:
    if "/" not in text or not text.rpartition("/")[2].isdecimal():
        return None
    try:
        return ipaddress.ip_interface(text)
    except ValueError:
        return None


def _range_faults(text: str, subnet: _Interface) -> list[str]:
    found = _prefix(text)
    if found is None:
        return [f"invalid ip-range {text}: invalid CIDR block notation"]
    if not isinstance(found, ipaddress.IPv4Interface) or not isinstance(subnet, ipaddress.IPv4Interface):
        return [f"invalid ip-range {text}: parent subnet is an IPv4 block"]
    faults = []
    if found.network.prefixlen < subnet.network.prefixlen:
        faults.append(f"invalid ip-range {text}: CIDR block is bigger than its parent subnet {subnet.network}")
    if str(found.network) != text:
        faults.append(f"invalid ip-range {text}: it should be {found.network}")
    if not subnet.network.overlaps(found.network):
        faults.append(f"invalid ip-range {text}: parent subnet {subnet.network} doesn't contain ip-range")
    return faults


def _address_fault(text: str, subnet: _Interface) -> str:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return "invalid address"
    if address.version != subnet.version:
        return "parent subnet is an IPv4 block"
    if address not in subnet.network:
        return f"parent subnet {subnet.network} doesn't contain this address"
    return ""


def _gateway(subnet: ipaddress.IPv4Network, pool: Pool | None) -> ipaddress.IPv4Address:
    """What was asked for, or the lowest address of the range that nothing else has."""
    taken = [ipaddress.IPv4Address(address) for address in pool.auxiliary.values()] if pool else []
    if pool and pool.gateway:
        gateway = ipaddress.IPv4Address(pool.gateway)
        if gateway in taken:
            raise Forbidden(f"failed to allocate gateway ({gateway}): Address already in use")
        if gateway in (subnet.network_address, subnet.broadcast_address):
            raise InvalidParameter(f"failed to allocate gateway ({gateway}): it is no address of a host")
        return gateway
    within = ipaddress.IPv4Network(pool.ip_range) if pool and pool.ip_range else subnet
    lowest = max(int(within.network_address), int(subnet.network_address) + 1)
    highest = min(int(within.broadcast_address), int(subnet.broadcast_address) - 1)
    for number in range(lowest, min(highest, lowest + len(taken)) + 1):
        if ipaddress.IPv4Address(number) not in taken:
            return ipaddress.IPv4Address(number)
    raise InvalidParameter("no available IPv4 addresses on this network's address pools")
