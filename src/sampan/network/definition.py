"""A network of a user's own, as it was created: what is kept of it over restarts of daemon and machine. Data only."""

import ipaddress
from dataclasses import dataclass, field

from sampan.spec.ids import NetworkId

BRIDGE_NAME = "com.docker.network.bridge.name"
ENABLE_ICC = "com.docker.network.bridge.enable_icc"
ENABLE_MASQUERADE = "com.docker.network.bridge.enable_ip_masquerade"
HOST_BINDING = "com.docker.network.bridge.host_binding_ipv4"
MTU = "com.docker.network.driver.mtu"


@dataclass(frozen=True, slots=True)
class Pool:
    """What a user said of the addresses; empty members were left to the daemon."""

    subnet: str = ""
    ip_range: str = ""
    gateway: str = ""
    auxiliary: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkDefinition:
    """One network. `pool` is what was asked for, `subnet` and `gateway` what it got; `bridge` is its link on the host."""

    id: NetworkId
    name: str
    created_ns: int
    subnet: str
    gateway: str
    bridge: str
    pool: Pool | None = None
    internal: bool = False
    attachable: bool = False
    labels: dict[str, str] = field(default_factory=dict)
    options: dict[str, str] = field(default_factory=dict)
    ipam_options: dict[str, str] | None = None

    @property
    def network(self) -> ipaddress.IPv4Network:
        """The subnet, for comparing."""
        return ipaddress.IPv4Network(self.subnet)

    @property
    def chosen_subnet(self) -> bool:
        """Whether a user chose the subnet: only then may a container ask for an address of it."""
        return self.pool is not None and bool(self.pool.subnet)
