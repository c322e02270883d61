"""A network of a user's own, as it was created: what is kept of it over restarts of daemon and machine. Data only."""

import ipaddress
from dataclasses import dataclass, field
from enum import StrEnum

from sampan.network.ipam import Subnet
from sampan.spec.ids import NetworkId

BRIDGE_NAME = "com.docker.network.bridge.name"
ENABLE_ICC = "com.docker.network.bridge.enable_icc"
ENABLE_MASQUERADE = "com.docker.network.bridge.enable_ip_masquerade"
HOST_BINDING = "com.docker.network.bridge.host_binding_ipv4"
GATEWAY_MODE = "com.docker.network.bridge.gateway_mode_ipv4"
GATEWAY_MODE6 = "com.docker.network.bridge.gateway_mode_ipv6"
TRUSTED = "com.docker.network.bridge.trusted_host_interfaces"
INHIBIT_IPV4 = "com.docker.network.bridge.inhibit_ipv4"
HOST_IPV4 = "com.docker.network.host_ipv4"
HOST_IPV6 = "com.docker.network.host_ipv6"
DEFAULT_BRIDGE = "com.docker.network.bridge.default_bridge"
MTU = "com.docker.network.driver.mtu"
INTERFACE_PREFIX = "com.docker.network.container_iface_prefix"
ENABLE_IPV4 = "com.docker.network.enable_ipv4"
ENABLE_IPV6 = "com.docker.network.enable_ipv6"


class GatewayMode(StrEnum):
    """How containers of a network reach the outside, and the outside them, in one address family (Docker 28's words)."""

    NAT = "nat"
    """translated, and reached by published ports alone"""
    UNPROTECTED = "nat-unprotected"
    """translated, and every port reached by whoever has a route"""
    ROUTED = "routed"
    """not translated; published ports are open at the container's own address"""
    ISOLATED = "isolated"
    """of an internal network: not even the host has an address in it"""


@dataclass(frozen=True, slots=True)
class Pool:
    """What a user said of the addresses of one family; empty members were left to the daemon."""

    subnet: str = ""
    ip_range: str = ""
    gateway: str = ""
    auxiliary: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Further:
    """One more subnet of a family that has one already (macvlan, ipvlan): what was asked for, and what it got."""

    pool: Pool
    subnet: str = ""
    gateway: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkDefinition:
    """One network. A pool is what was asked for, `subnet` and `gateway` what it got; `bridge` is its link on the host, if
    that is one.

    The members of IPv6 end in 6. A family that the network does not have has an empty subnet; an isolated one has a subnet
    and no gateway. Of a configuration (`config_only`), which is no network but what others are made after, nothing is allocated.
    """

    id: NetworkId
    name: str
    created_ns: int
    subnet: str
    gateway: str
    bridge: str
    pool: Pool | None = None
    subnet6: str = ""
    gateway6: str = ""
    pool6: Pool | None = None
    internal: bool = False
    attachable: bool = False
    labels: dict[str, str] = field(default_factory=dict)
    options: dict[str, str] = field(default_factory=dict)
    ipam_options: dict[str, str] | None = None
    config_only: bool = False
    config_from: str = ""
    driver: str = "bridge"
    parent: str = ""
    """the host's link that a macvlan or ipvlan network stands on"""
    ipv4: bool = True
    ipv6: bool = False
    more: tuple[Further, ...] = ()
    """subnets behind the first of their family, in the order in which addresses are looked for"""
    remote: bool = False
    """`driver` is a plugin"""
    scope: str = "local"
    ipam_driver: str = ""
    """a plugin that gives the addresses; empty for the engine itself"""
    pool_ids: tuple[str, ...] = ()
    """what that plugin calls the pools, in the order of the subnets"""
    ipam_addresses: tuple[tuple[str, str], ...] = ()
    """gateways and kept addresses that it gave: pool and address"""

    @property
    def asks_plugins(self) -> bool:
        """Whether a container's place in it is a plugin's affair."""
        return self.remote or bool(self.ipam_driver)

    @property
    def subnets(self) -> tuple[Subnet, ...]:
        """The subnets, IPv4 first, for comparing; further ones behind these."""
        texts = (self.subnet, self.subnet6, *(one.subnet for one in self.more))
        return tuple(ipaddress.ip_network(text) for text in texts if text)

    @property
    def chosen(self) -> tuple[Subnet, ...]:
        """The subnets that a user chose: only of them may a container ask for an address."""
        pools = (
            pool
            for pool in (self.pool, self.pool6, *(one.pool for one in self.more))
            if pool is not None and pool.subnet
        )
        return tuple(ipaddress.ip_network(pool.subnet) for pool in pools)
