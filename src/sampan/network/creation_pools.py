"""What a create request says of addresses, judged: subnets, ranges, gateways, addresses kept. Pure; the wording is Docker's."""

import ipaddress
from collections.abc import Mapping

from sampan.errors import InvalidParameter, NotFound, System
from sampan.network.definition import Pool
from sampan.network.ipam import Address, Subnet, bounds, overlap
from sampan.spec.networks import IPAM, IPAMConfig

_LEAST_PREFIX = 1
_MOST_PREFIX = {4: 30, 6: 126}
_LINK_LOCAL = ipaddress.IPv6Network("fe80::/64")

_Interface = ipaddress.IPv4Interface | ipaddress.IPv6Interface


def pools(ipam: IPAM | None, ipv6: bool) -> tuple[list[Pool], list[Pool]]:
    """What is said of the subnets of each family, IPv4 first, each list in the order in which it was said.

    Without `ipv6` what is said of it is kept and not looked at, as in Docker.
    """
    if ipam is None:
        return [], []
    if ipam.driver not in ("", "default"):
        raise NotFound(f'plugin "{ipam.driver}" not found')
    faults: list[str] = []
    found: dict[int, list[Pool]] = {4: [], 6: []}
    for config in ipam.config or ():
        subnet = _prefix(config.subnet)
        if subnet is None:
            faults.append(f"invalid subnet {config.subnet}: invalid CIDR block notation")
            continue
        if ipv6 or subnet.version == 4:
            faults += _faults(config, subnet)
        found[subnet.version].append(_pool(config))
    if faults:
        raise InvalidParameter("invalid network config:\n" + _listed(faults))
    return found[4], found[6]


def _listed(faults: list[str]) -> str:
    return faults[0] if len(faults) == 1 else "* " + "\n* ".join(faults)


def _pool(config: IPAMConfig) -> Pool:
    return Pool(config.subnet, config.ip_range, config.gateway, dict(config.auxiliary_addresses or {}))


def _faults(config: IPAMConfig, subnet: _Interface) -> list[str]:
    faults = []
    if subnet.ip != subnet.network.network_address:
        faults.append(f"invalid subnet {config.subnet}: it should be {subnet.network}")
    if not _LEAST_PREFIX <= subnet.network.prefixlen <= _MOST_PREFIX[subnet.version]:
        faults.append(f"invalid subnet {config.subnet}: it has no room for a gateway and a container")
    if config.ip_range:
        faults += _range_faults(config.ip_range, subnet)
    if config.gateway and (fault := _address_fault(config.gateway, subnet)):
        faults.append(f"invalid gateway {config.gateway}: {fault}")
    for name, address in (config.auxiliary_addresses or {}).items():
        if fault := _address_fault(address, subnet):
            faults.append(f"invalid auxiliary address {name}: {fault}")
    return faults


def _prefix(text: str) -> _Interface | None:
    if "/" not in text or not text.rpartition("/")[2].isdecimal() or "%" in text:
        return None
    try:
        return ipaddress.ip_interface(text)
    except ValueError:
        return None


def _range_faults(text: str, subnet: _Interface) -> list[str]:
    found = _prefix(text)
    if found is None:
        return [f"invalid ip-range {text}: invalid CIDR block notation"]
    if found.version != subnet.version:
        return [f"invalid ip-range {text}: parent subnet is an IPv{subnet.version} block"]
    faults = []
    if found.network.prefixlen < subnet.network.prefixlen:
        faults.append(f"invalid ip-range {text}: CIDR block is bigger than its parent subnet {subnet.network}")
    if found.ip != found.network.network_address:
        faults.append(f"invalid ip-range {text}: it should be {found.network}")
    if not overlap(subnet.network, found.network):
        faults.append(f"invalid ip-range {text}: parent subnet {subnet.network} doesn't contain ip-range")
    return faults


def _address_fault(text: str, subnet: _Interface) -> str:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return "invalid address"
    if address.version != subnet.version:
        return f"parent subnet is an IPv{subnet.version} block"
    if address not in subnet.network:
        return f"parent subnet {subnet.network} doesn't contain this address"
    return ""


def check_subnet6(subnet: Subnet, own: str) -> None:
    """Refuse what cannot be a network of containers; `own` is the gateway in it, for the words. Raises InvalidParameter."""
    shown = f"{own}/{subnet.prefixlen}" if own else str(subnet)
    if subnet.is_multicast:
        raise InvalidParameter(f"multicast subnet '{shown}' is not allowed")
    if subnet != _LINK_LOCAL and overlap(subnet, _LINK_LOCAL):
        raise InvalidParameter(f"'{shown}' clashes with the Link-Local prefix 'fe80::/64'")


def gateway(subnet: Subnet, pool: Pool | None) -> str:
    """What was asked for, or the lowest address of the range that nothing else has."""
    first, last = bounds(subnet)
    if pool and pool.gateway:
        chosen = ipaddress.ip_address(pool.gateway)
        if not first <= int(chosen) <= last:
            # The network's own address and the broadcast one are taken from the start.
            raise System(f"failed to allocate gateway ({chosen}): Address already in use")
        _kept(pool.auxiliary, chosen)
        return str(chosen)
    taken = _kept(pool.auxiliary) if pool else set()
    if pool and pool.ip_range:
        first, last = bounds(subnet, ipaddress.ip_network(pool.ip_range))
    for number in range(first, min(last, first + len(taken)) + 1):
        if number not in taken:
            return str(subnet[number - int(subnet.network_address)])
    raise System(f"no available IPv{subnet.version} addresses on this network's address pools")


def _kept(auxiliary: Mapping[str, str], gateway: Address | None = None) -> set[int]:
    """The addresses that nobody gets, each of which can be kept once. Raises System in Docker's words."""
    found = {int(gateway)} if gateway is not None else set()
    for name, text in auxiliary.items():
        address = ipaddress.ip_address(text)
        if int(address) in found:
            raise System(f"failed to allocate secondary ip address ({name}:{address}): Address already in use")
        found.add(int(address))
    return found
