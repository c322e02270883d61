"""What the runtime has to make for a container on a bridge: data only, sent to the launcher as JSON."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class VethPlan:
    """The pair to create at the start. Addresses are text, `prefix` in bits; the members are what `attach` reads.

    `address` and `mac` are empty in the plan of a warm slot: they are given when it is claimed.
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
