"""What one bridge network is to be. Data only; `settings` makes it."""

from dataclasses import dataclass

from sampan.network.definition import GatewayMode
from sampan.network.ipam import Address, Subnet
from sampan.network.options import AddressPool, Interface
from sampan.spec.ids import NetworkId


@dataclass(frozen=True, slots=True)
class Addressing:
    """One address family of a bridge. `interface` is the bridge's own address, None to keep or choose one, or to have none.

    `within` bounds what containers get, `kept` is given to none of them. Where `is_chosen`, a user chose the subnet, and a
    container may ask for an address of it. `gateway` is what containers are told instead of the bridge's address. `inhibited`:
    the host has no address in it although containers are told one. `source`: their address outside, None for the way's own.
    """

    interface: Interface | None = None
    subnet: Subnet | None = None
    within: Subnet | None = None
    kept: tuple[Address, ...] = ()
    gateway: Address | None = None
    pools: tuple[AddressPool, ...] = ()
    mode: GatewayMode = GatewayMode.NAT
    is_chosen: bool = False
    inhibited: bool = False
    source: Address | None = None

    @property
    def has_address(self) -> bool:
        """Whether the host has an address in it."""
        return self.mode is not GatewayMode.ISOLATED and not self.inhibited


@dataclass(frozen=True, slots=True)
class BridgeSettings:
    """`links` are names for the bridge, of which the first that is ours or free is taken. A family that is not there is None."""

    id: NetworkId
    name: str
    links: tuple[str, ...]
    ipv4: Addressing | None = Addressing()
    ipv6: Addressing | None = None
    mtu: int = 1500
    icc: bool = True
    masquerade: bool = True
    internal: bool = False
    bind_ip: str = "0.0.0.0"
    is_default: bool = True
    interface_prefix: str = "eth"
    trusted: tuple[str, ...] = ()
    """links of the host by which published ports are reached at the containers' own addresses"""
    direct: bool = False
    """by every link (`--allow-direct-routing`)"""

    def families(self) -> dict[int, Addressing]:
        """Those that are there, by version, IPv4 first."""
        both = {4: self.ipv4, 6: self.ipv6}
        return {version: found for version, found in both.items() if found is not None}
