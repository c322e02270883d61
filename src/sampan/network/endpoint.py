"""A container's place in a network, and the ports published for it: what inspect shows and a restarted daemon adopts."""

import os
import socket
from dataclasses import dataclass, field

from sampan.network.plan import LinkKind, LinkPlan
from sampan.network.policy import Forward
from sampan.spec.ids import ContainerId, NetworkId


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where one container stands. Address, gateway and MAC are empty, and `link` None, in networks host and none.

    All members are plain values: the daemon keeps them in its record and hands them to `Networks.adopt`.
    """

    container: ContainerId
    network: str
    network_id: NetworkId
    endpoint_id: str
    address: str = ""
    prefix: int = 0
    gateway: str = ""
    mac: str = ""
    link: LinkPlan | None = None
    gw_priority: int = 0
    internal: bool = False
    address6: str = ""
    prefix6: int = 0
    gateway6: str = ""
    interface: str = ""
    """what the interface is to be called; empty for the next free `prefix` and number"""
    interface_prefix: str = "eth"
    straight: bool = False
    """It leads out without a gateway, by its link alone (ipvlan's l3)."""

    def leads_out(self, version: int) -> bool:
        """Whether it leads out in an address family, 4 or 6."""
        gateway, address = (self.gateway, self.address) if version == 4 else (self.gateway6, self.address6)
        return bool(gateway or (self.straight and address))

    @property
    def families(self) -> int:
        """In how many address families it leads out."""
        return self.leads_out(4) + self.leads_out(6)

    @property
    def is_bridged(self) -> bool:
        """Whether the host forwards for it: only then can its ports be published."""
        return self.link is not None and self.link.kind is LinkKind.VETH

    @property
    def addresses(self) -> tuple[str, ...]:
        """Its addresses, IPv4 first."""
        return tuple(address for address in (self.address, self.address6) if address)

    @property
    def rank(self) -> tuple[int, bool, int, str]:
        """Among a container's end points the least is its first interface (Docker 28's order)."""
        return -self.gw_priority, self.internal, -self.families, self.network


@dataclass(frozen=True, slots=True)
class Published:
    """Ports that are published. `held` are bound sockets, for the monitor to hold while the container runs.

    They are the caller's: to be closed here once the monitor has them (empty for adopted ones).
    """

    forwards: tuple[Forward, ...] = ()
    held: tuple[socket.socket, ...] = field(default=(), compare=False)

    def close(self) -> None:
        """Let go of the sockets."""
        for sock in self.held:
            sock.close()


def host_link_name() -> str:
    """A name for the host's end of a pair, as Docker names them."""
    return f"veth{os.urandom(4).hex()[:7]}"
