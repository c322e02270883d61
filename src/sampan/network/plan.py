"""What the runtime has to make for a container in a network: data only, sent to the launcher as JSON."""

from dataclasses import dataclass
from enum import StrEnum


class LinkKind(StrEnum):
    """What a container's interface is."""

    VETH = "veth"
    """one end of a pair, whose other end is a port of a bridge"""
    MACVLAN = "macvlan"
    """on a link of the host, with a hardware address of its own"""
    IPVLAN = "ipvlan"
    """on a link of the host, with that one's hardware address"""
    MOVED = "moved"
    """a link of the host that a plugin has made: it goes into the container, and back where it came from"""


@dataclass(frozen=True, slots=True)
class LinkPlan:
    """The link to create at the start. Addresses are text, `prefix` in bits; the members are what `attach` reads.

    `address`, `address6` and `mac` are empty in the plan of a warm slot: they are given when it is claimed. A family that the
    network does not have has no address; without a gateway the interface leads nowhere in that family. `host_name` and
    `bridge_index` are a pair's alone.
    """

    host_name: str
    """of a pair's end on the host, or of a link that is moved"""
    bridge_index: int
    mac: str
    address: str
    prefix: int
    gateway: str
    mtu: int = 1500
    name: str = "eth0"
    hairpin: bool = False
    """Frames may go back where they came from: a container at its own published port, on a host with br_netfilter."""
    isolated: bool = False
    """The bridge passes nothing between this port and other isolated ones (`--icc=false`)."""
    ipv6: bool = False
    """The link speaks IPv6; on every other one it is turned off."""
    address6: str = ""
    prefix6: int = 0
    gateway6: str = ""
    link_local: tuple[str, ...] = ()
    """Further addresses (`--link-local-ip`)."""
    sysctls: tuple[tuple[str, str], ...] = ()
    """Settings of this interface alone: name below `net` in which IFNAME stands for it (`ipv4.conf.IFNAME.forwarding`), value."""
    kind: LinkKind = LinkKind.VETH
    parent_index: int = 0
    """of the host's link beneath, where there is one, or of the one that is moved"""
    mode: str = ""
    """macvlan: bridge, private, vepa, passthru; ipvlan: l2, l3, l3s"""
    flag: str = ""
    """ipvlan: bridge, private, vepa"""
    index: int = 0
    """A number of the link's inside, chosen for one that has no end outside by which it could be found again."""
    straight: tuple[int, ...] = ()
    """The families, 4 and 6, whose default route leads to the link itself, without a gateway."""
    routes: tuple[tuple[str, str], ...] = ()
    """Further routes: network, and next hop or "" for the link itself."""
