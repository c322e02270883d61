"""Connection tracking entries over netlink (ctnetlink): find some, delete them.

An entry remembers where a flow is translated to. One that outlives its port or container keeps sending a flow to the wrong
place: UDP above all, whose entries each packet renews. Standard library only.
"""

from __future__ import annotations

import errno
import socket

from sampan.kernel.netlink import Netlink, attribute, nested, table
from sampan.kernel.nftables import header

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

_SUBSYSTEM = 1
_GET = _SUBSYSTEM << 8 | 1
_DELETE = _SUBSYSTEM << 8 | 2

_CTA_TUPLE_ORIG = 1
_CTA_ID = 12
_CTA_ZONE = 18
_CTA_FILTER = 25
_CTA_TUPLE_PROTO = 2
_CTA_PROTO_NUM = 1
_CTA_PROTO_DST_PORT = 3
_CTA_FILTER_ORIG_FLAGS = 1

# CTA_FILTER_F_*: which members of a tuple the kernel compares (Linux 5.8; older ones send everything).
_F_PROTO_NUM = 1 << 3
_F_PROTO_DST_PORT = 1 << 5

_DELETE_LIMIT = 65536
_FEW = 1000
"""Flows that are read here in less time (5 µs each) than a walk takes."""


class Flow:
    """One entry: family, protocol number, and the port that its first packet was sent to."""

    __slots__ = ("_id", "_orig", "_zone", "family", "port", "protocol")

    def __init__(self, body: bytes) -> None:
        found = table(body, 4)
        self.family = body[0]
        self._orig = found.get(_CTA_TUPLE_ORIG, b"")
        self._id = found.get(_CTA_ID, b"")
        self._zone = found.get(_CTA_ZONE)
        transport = table(table(self._orig).get(_CTA_TUPLE_PROTO, b""))
        self.protocol = int.from_bytes(transport.get(_CTA_PROTO_NUM, b""), "big")
        self.port = int.from_bytes(transport.get(_CTA_PROTO_DST_PORT, b""), "big")

    def delete(self, netfilter: Netlink) -> None:
        """Forget this very entry (its id is compared); one that has gone meanwhile is no error."""
        body = header(self.family) + attribute(_CTA_TUPLE_ORIG | 0x8000, self._orig)
        if self._zone is not None:
            body += attribute(_CTA_ZONE, self._zone)
        body += attribute(_CTA_ID, self._id)
        try:
            netfilter.request(_DELETE, 0, body, "conntrack delete")
        except OSError as error:
            if error.errno != errno.ENOENT:
                raise


def delete_to_ports(netfilter: Netlink, protocol: int, ports: Mapping[int, Collection[int]]) -> int:
    """Forget flows of `protocol` whose first packet went to one of a family's `ports`; the number of them.

    The kernel walks its whole table for it (13 ms where that has the usual 262,144 buckets), and filters by one family at a time:
    of both, few flows are faster looked through here, after one walk, than selected there in two.
    """
    found: list[Flow] = []

    # Never by a filtered flush: a kernel that does not know the filter would forget every flow of the machine.
    def keep(_: int, body: bytes) -> None:
        flow = Flow(body)
        if flow.protocol == protocol and flow.port in ports.get(flow.family, ()) and len(found) < _DELETE_LIMIT:
            found.append(flow)

    wanted = {family: numbers for family, numbers in ports.items() if numbers}
    if len(wanted) > 1 and _count() <= _FEW:
        netfilter.visit(_GET, header(socket.AF_UNSPEC), "conntrack dump", keep)
    else:
        for family, numbers in wanted.items():
            netfilter.visit(_GET, header(family) + _filter(protocol, numbers), "conntrack dump", keep)
    for flow in found:
        flow.delete(netfilter)
    return len(found)


def _filter(protocol: int, ports: Collection[int]) -> bytes:
    """That the kernel sends flows of this protocol alone, and where there is one port, of that."""
    parts = attribute(_CTA_PROTO_NUM, bytes((protocol,)))
    compared = _F_PROTO_NUM
    if len(ports) == 1:
        parts += attribute(_CTA_PROTO_DST_PORT, next(iter(ports)).to_bytes(2, "big"))
        compared |= _F_PROTO_DST_PORT
    return nested(_CTA_TUPLE_ORIG, nested(_CTA_TUPLE_PROTO, parts)) + nested(
        _CTA_FILTER, attribute(_CTA_FILTER_ORIG_FLAGS, compared.to_bytes(4, "little"))
    )


def _count() -> int:
    """How many flows this network namespace has; where the kernel does not say, as if they were many."""
    try:
        with open("/proc/sys/net/netfilter/nf_conntrack_count") as file:
            return int(file.read())
    except FileNotFoundError:
        return _FEW + 1
