"""Published ports: `80/tcp` and where the host answers for it."""

from sampan.spec.document import Document, UInt16, sent, wire


class PortBinding(Document, frozen=True):
    """Where a container's port is published. `host_port` is text: "", "8080" or a range "8000-8010"."""

    host_ip: str = sent("")
    host_port: str = sent("")


PortMap = dict[str, tuple[PortBinding, ...] | None]
"""By container port and protocol, `80/tcp`; None for a port that is exposed and not published."""


class Port(Document, frozen=True, rename=wire(ip="IP")):
    """One line of the ports of `docker ps`. `type` is tcp, udp or sctp."""

    ip: str = ""
    private_port: UInt16 = sent(0)
    public_port: UInt16 = 0
    type: str = sent("")
