"""What a daemon may be told about its default network: `--bip`, `--default-address-pools` and their like, checked."""

import hashlib
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field

from sampan.errors import InvalidParameter
from sampan.network.firewall_mark import FirewallMark
from sampan.network.ipam import Address, Subnet
from sampan.spec.ids import InstanceId

DEFAULT_POOLS = (
    *((f"172.{second}.0.0/16", 16) for second in range(17, 32)),
    ("192.168.0.0/16", 20),
)
"""Docker's own local pools: (network, size of each subnet in bits), tried in this order."""

Interface = ipaddress.IPv4Interface | ipaddress.IPv6Interface
_SMALLEST = {4: 29, 6: 126}
_ULA = int(ipaddress.IPv6Address("fd00::"))
_GLOBAL_ID = (1 << 40) - 1


@dataclass(frozen=True, slots=True)
class AddressPool:
    """One entry of `--default-address-pools`: subnets of `size` bits are cut from `base`."""

    base: Subnet
    size: int


@dataclass(frozen=True, slots=True)
class NetworkOptions:
    """The default bridge. `bip` is its own address with prefix; `fixed_cidr` bounds what containers get; 6 is IPv6's."""

    bridge_name: str = ""
    """Empty: `sampan0` for the default instance, else a name with the instance in it."""
    default_instance: bool = True
    disabled: bool = False
    """`--bridge=none`: containers have the networks host and none only."""
    bip: Interface | None = None
    fixed_cidr: Subnet | None = None
    gateway: Address | None = None
    """what containers are told instead of the bridge's address (`--default-gateway`)"""
    ipv6: bool = False
    bip6: Interface | None = None
    fixed_cidr6: Subnet | None = None
    gateway6: Address | None = None
    pools: tuple[AddressPool, ...] = ()
    mtu: int = 1500
    icc: bool = True
    ip_masq: bool = True
    ip_forward: bool = True
    ip6tables: bool = True
    userland_proxy: bool = True
    allow_direct_routing: bool = False
    accepted_mark: FirewallMark | None = None
    """what is marked so reaches containers at every port (`--bridge-accept-fwmark`)"""
    judged: bool = True
    """whether the host's own firewall is asked about published ports (`--published-ports`)"""
    default_bind_ip: str = "0.0.0.0"
    keeper: str = ""
    """where the keeper of a rootless daemon listens: ports are published in its network namespace"""
    network_options: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """options that a network of a driver gets where its creator does not say otherwise (`--default-network-opt`)"""


def parse_bip(text: str, key: str = "bip") -> Interface:
    """`--bip`, `--bip6`: an address with a prefix, such as 172.30.0.1/16. Raises InvalidParameter."""
    version = 6 if key == "bip6" else 4
    try:
        if "/" not in text:
            raise ValueError(f"{text} has no prefix")
        bip = ipaddress.ip_interface(text)
        if bip.version != version:
            raise ValueError(f"{text} is no IPv{version} address")
        if bip.network.prefixlen > _SMALLEST[version] or bip.ip == bip.network.network_address:
            raise ValueError(f"{text} is not the address of a host in a network of some size")
    except ValueError as error:
        raise InvalidParameter(f"invalid --{key}: {error}") from error
    return bip


def parse_pool(base: str, size: int) -> AddressPool:
    """One default address pool. Raises InvalidParameter in Docker's wording."""
    try:
        network = ipaddress.ip_network(base)
    except ValueError as error:
        raise InvalidParameter(f"invalid base pool {base!r}: {error}") from error
    smallest = _SMALLEST[network.version]
    if not network.prefixlen <= size <= smallest:
        raise InvalidParameter(
            f"invalid pool size {size}: the base pool {base} has subnets of {network.prefixlen} to {smallest} bits"
        )
    return AddressPool(network, size)


def pools_of(version: int, given: tuple[AddressPool, ...], instance: InstanceId) -> tuple[AddressPool, ...]:
    """The pools of one family: those that were given, else Docker's own.

    For IPv6 that is, where none is given, a /48 of local addresses that goes with the instance (RFC 4193, as Docker 27 does),
    in /64s.
    """
    chosen = tuple(pool for pool in given if pool.base.version == version)
    if chosen or (version == 4 and given):
        return chosen
    if version == 4:
        return tuple(AddressPool(ipaddress.IPv4Network(base), size) for base, size in DEFAULT_POOLS)
    number = int.from_bytes(hashlib.sha256(instance.encode()).digest()[:8], "big") & _GLOBAL_ID
    return (AddressPool(ipaddress.IPv6Network((_ULA + (number << 80), 48)), 64),)
