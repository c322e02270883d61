"""What a daemon may be told about its default network: `--bip`, `--default-address-pools` and their like, checked."""

import ipaddress
from dataclasses import dataclass

from sampan.errors import InvalidParameter

DEFAULT_POOLS = (
    *((f"172.{second}.0.0/16", 16) for second in range(17, 32)),
    ("192.168.0.0/16", 20),
)
"""Docker's own local pools: (network, size of each subnet in bits), tried in this order."""


@dataclass(frozen=True, slots=True)
class AddressPool:
    """One entry of `--default-address-pools`: subnets of `size` bits are cut from `base`."""

    base: ipaddress.IPv4Network
    size: int


@dataclass(frozen=True, slots=True)
class NetworkOptions:
    """The default bridge. `bip` is its own address with prefix; `fixed_cidr` bounds what containers get."""

    bridge_name: str = ""
    """Empty: `sampan0` for the default instance, else a name with the instance in it."""
    default_instance: bool = True
    disabled: bool = False
    """`--bridge=none`: containers have the networks host and none only."""
    bip: ipaddress.IPv4Interface | None = None
    fixed_cidr: ipaddress.IPv4Network | None = None
    pools: tuple[AddressPool, ...] = ()
    mtu: int = 1500
    icc: bool = True
    ip_masq: bool = True
    ip_forward: bool = True
    default_bind_ip: str = "0.0.0.0"


def parse_bip(text: str) -> ipaddress.IPv4Interface:
    """`--bip`: an address with a prefix, such as 172.30.0.1/16. Raises InvalidParameter."""
    try:
        if "/" not in text:
            raise ValueError(f"{text} has no prefix")
        bip = ipaddress.IPv4Interface(text)
        if bip.network.prefixlen > 29 or bip.ip == bip.network.network_address:
            raise ValueError(f"{text} is not the address of a host in a network of at least 8 addresses")
    except ValueError as error:
        raise InvalidParameter(f"invalid --bip: {error}") from error
    return bip


def parse_pool(base: str, size: int) -> AddressPool:
    """One default address pool. Raises InvalidParameter in Docker's wording."""
    try:
        network = ipaddress.IPv4Network(base)
    except ValueError as error:
        raise InvalidParameter(f"invalid base pool {base!r}: {error}") from error
    if not network.prefixlen <= size <= 29:
        raise InvalidParameter(
            f"invalid pool size {size}: the base pool {base} has subnets of {network.prefixlen} to 29 bits"
        )
    return AddressPool(network, size)


def default_pools() -> tuple[AddressPool, ...]:
    """Docker's pools, where none were given."""
    return tuple(AddressPool(ipaddress.IPv4Network(base), size) for base, size in DEFAULT_POOLS)
