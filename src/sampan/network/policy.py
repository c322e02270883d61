"""What the rules are to say, as data: networks, published ports, who may call whom."""

import ipaddress
from dataclasses import dataclass, field

from sampan.network.definition import GatewayMode

ANY = "0.0.0.0"
ANY6 = "::"
LOOPBACK6 = "::1"


@dataclass(frozen=True, slots=True)
class Forward:
    """One published port: what arrives at `host_ip`:`host_port` goes to `address`:`port`. `protocol` is tcp, udp or sctp.

    Without an address it goes nowhere: the container has no way out at present, and keeps the port for when it has. Without
    a port of the host's (0) the container's own is open at its own address (gateway mode routed).
    """

    protocol: str
    host_ip: str
    host_port: int
    address: str
    port: int
    outside: bool = field(default=False, compare=False)
    """whether the host's port is one of another network namespace, the machine's: then every caller is proxied"""

    @property
    def is_anywhere(self) -> bool:
        """Published on every address of the host."""
        return self.host_ip in (ANY, ANY6)

    @property
    def is_ipv6(self) -> bool:
        """Whether the host is asked by IPv6."""
        return ":" in self.host_ip

    @property
    def is_translated(self) -> bool:
        """Whether the kernel sends packets on: not from one family to the other, nor from ::1, which no packet leaves by."""
        return self.is_ipv6 == (":" in self.address) and self.host_ip != LOOPBACK6 and self.host_port != 0

    @property
    def is_proxied(self) -> bool:
        """Whether some callers are served by a process: those that `is_translated` leaves out, ::1 among [::] too.

        None is by SCTP, whose streams and messages a proxy would mix up.
        """
        return (
            self.protocol != "sctp"
            and self.host_port != 0
            and (self.outside or (self.is_ipv6 and (self.is_anywhere or not self.is_translated)))
        )


@dataclass(frozen=True, slots=True)
class Allowed:
    """Where containers do not reach each other (`icc` off): `source` may call `address`:`port` all the same."""

    protocol: str
    source: str
    address: str
    port: int


@dataclass(frozen=True, slots=True)
class Zone:
    """One network as the rules see it. `internal`: nothing of it goes out or comes in, but to and from the host itself.

    `subnet` and `mode` are IPv4's; a family that the network does not have has an empty subnet.
    """

    bridge: str
    subnet: str
    icc: bool = True
    masquerade: bool = True
    internal: bool = False
    mode: GatewayMode = GatewayMode.NAT
    subnet6: str = ""
    mode6: GatewayMode = GatewayMode.NAT
    trusted: tuple[str, ...] = ()
    """links of the host by which published ports are reached at the containers' own addresses"""
    direct: bool = False
    """by every link"""
    source: str = ""
    """the containers' IPv4 address outside; empty for the one of the way out"""
    source6: str = ""

    @property
    def is_selective(self) -> bool:
        """Whether it is reached directly by some links alone."""
        return bool(self.trusted) and not self.direct and not self.internal

    def opens(self, version: int) -> bool:
        """Whether translated ports are open at the containers' own addresses, too."""
        text, mode = (self.subnet, self.mode) if version == 4 else (self.subnet6, self.mode6)
        return bool(text) and mode is GatewayMode.NAT and (self.direct or bool(self.trusted)) and not self.internal

    def of(self, version: int) -> tuple[bytes, int, GatewayMode] | None:
        """Network, prefix length and mode in one family; None where it is not there."""
        text, mode = (self.subnet, self.mode) if version == 4 else (self.subnet6, self.mode6)
        if not text:
            return None
        network = ipaddress.ip_network(text)
        return network.network_address.packed, network.prefixlen, mode
