"""What the runtime has to make for a container on a bridge: data only, sent to the launcher as JSON."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class VethPlan:
    """The pair to create at the start. Addresses are text, `prefix` in bits; the members are what `attach` reads.

    `address`, `address6` and `mac` are empty in the plan of a warm slot: they are given when it is claimed. A family that the
    network does not have has no address; without a gateway the interface leads nowhere in that family.
    """

    host_name: str
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
