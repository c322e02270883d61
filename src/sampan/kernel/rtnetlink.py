"""Links, addresses, routes and neighbours (rtnetlink(7)).

Each `…_message` is one request for `Netlink.request_all`, so that several travel in one system call; `Route` reads.
Addresses are four bytes (IPv4) or sixteen (IPv6) here, and say by that which family is meant. Loaded by the launcher.
"""

from __future__ import annotations

import errno
import socket
import struct

from sampan.kernel.netlink import (
    NLM_F_CREATE,
    NLM_F_EXCL,
    NLM_F_REPLACE,
    Netlink,
    as_text,
    attribute,
    nested,
    table,
    text,
    u8,
    u32,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sampan.kernel.netlink import Message

RTM_NEWLINK = 16
RTM_DELLINK = 17
RTM_GETLINK = 18
RTM_SETLINK = 19
RTM_NEWADDR = 20
RTM_DELADDR = 21
RTM_GETADDR = 22
RTM_NEWROUTE = 24
RTM_DELROUTE = 25
RTM_GETROUTE = 26
RTM_NEWNEIGH = 28

IFF_UP = 0x1

_IFLA_ADDRESS = 1
_IFLA_IFNAME = 3
_IFLA_MTU = 4
_IFLA_MASTER = 10
_IFLA_LINKINFO = 18
_IFLA_NET_NS_PID = 19
_IFLA_IFALIAS = 20
_IFLA_AF_SPEC = 26
_IFLA_NET_NS_FD = 28
_IFLA_NEW_IFINDEX = 49
_IFLA_INFO_KIND = 1
_IFLA_INFO_DATA = 2
_IFLA_INFO_SLAVE_KIND = 4
_IFLA_INFO_SLAVE_DATA = 5
_IFLA_BRPORT_MODE = 4
_VETH_INFO_PEER = 1
_IFLA_BRPORT_ISOLATED = 33
_IFLA_INET6_ADDR_GEN_MODE = 8
_IN6_ADDR_GEN_MODE_NONE = 1

_IFA_ADDRESS = 1
_IFA_LOCAL = 2
_IFA_BROADCAST = 4
_IFA_F_NODAD = 0x02

_RTA_DST = 1
_RTA_OIF = 4
_RTA_GATEWAY = 5
_RTA_TABLE = 15
_RT_TABLE_MAIN = 254
_RTPROT_BOOT = 3
_RT_SCOPE_UNIVERSE = 0
_RT_SCOPE_LINK = 253
_RTN_UNICAST = 1

_NDA_DST = 1
_NDA_LLADDR = 2
_NUD_STALE = 0x04

_LINK = struct.Struct("=BxHiII")
_ADDRESS = struct.Struct("=BBBBI")
_ROUTE = struct.Struct("=BBBBBBBBI")
_NEIGHBOUR = struct.Struct("=BxxxiHBB")

# ifi_change of all ones means "these flags as they are"; one bit is what we set.
_UP = (IFF_UP, IFF_UP)
_AS_IS = (0, 0)


def _link(index: int = 0, flags: tuple[int, int] = _AS_IS, family: int = socket.AF_UNSPEC) -> bytes:
    return _LINK.pack(family, 0, index, *flags)


def veth_message(
    name: str, master: int, mtu: int, peer_name: str, peer_mac: bytes, pid: int = 0, descriptor: int = -1
) -> Message:
    """A pair, still down: `name` here, in the bridge `master` (0 for none); `peer_name` in another network namespace.

    That namespace is the one of process `pid`, or of `descriptor`. The peer cannot come up with its creation (ENOTCONN).
    An empty `peer_mac` is drawn at random.
    """
    where = u32(_IFLA_NET_NS_FD, descriptor) if descriptor >= 0 else u32(_IFLA_NET_NS_PID, pid)
    size = u32(_IFLA_MTU, mtu)
    peer = _link() + text(_IFLA_IFNAME, peer_name) + size + where
    if peer_mac:
        peer += attribute(_IFLA_ADDRESS, peer_mac)
    info = nested(
        _IFLA_LINKINFO,
        text(_IFLA_INFO_KIND, "veth"),
        nested(_IFLA_INFO_DATA, attribute(_VETH_INFO_PEER, peer)),
    )
    body = _link() + text(_IFLA_IFNAME, name) + size + (u32(_IFLA_MASTER, master) if master else b"") + info
    return RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, body, f"veth add {name} peer {peer_name} pid={pid} master={master}"


def bridge_message(name: str, mac: bytes, mtu: int) -> Message:
    """A bridge that is still down, with a hardware address at random where `mac` is empty. EEXIST where the name is taken.

    An alias cannot be given along: `alias_message`."""
    body = (
        _link()
        + text(_IFLA_IFNAME, name)
        + (attribute(_IFLA_ADDRESS, mac) if mac else b"")
        + (u32(_IFLA_MTU, mtu) if mtu else b"")
        + nested(_IFLA_LINKINFO, text(_IFLA_INFO_KIND, "bridge"))
    )
    return RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, body, f"bridge add {name}"


def up_message(index: int, mac: bytes = b"", mtu: int = 0) -> Message:
    """Bring a link up, with another hardware address or MTU where given."""
    body = _link(index, _UP)
    if mac:
        body += attribute(_IFLA_ADDRESS, mac)
    if mtu:
        body += u32(_IFLA_MTU, mtu)
    return RTM_NEWLINK, 0, body, f"link set {index} up mac={mac.hex(':')}"


def port_up_message(name: str, hairpin: bool = False, isolated: bool = False) -> Message:
    """Bring up a bridge's port by name.

    `hairpin`: frames may leave by the port they came in by. `isolated`: the port reaches the bridge itself and
    unisolated ports only (bridge(8)).
    """
    body = _link(flags=_UP) + text(_IFLA_IFNAME, name)
    if hairpin or isolated:
        body += nested(
            _IFLA_LINKINFO,
            text(_IFLA_INFO_SLAVE_KIND, "bridge"),
            nested(_IFLA_INFO_SLAVE_DATA, u8(_IFLA_BRPORT_MODE, hairpin), u8(_IFLA_BRPORT_ISOLATED, isolated)),
        )
    return RTM_NEWLINK, 0, body, f"link set {name} up hairpin={hairpin:d} isolated={isolated:d}"


def down_message(index: int) -> Message:
    """Take a link down."""
    return RTM_NEWLINK, 0, _link(index, (0, IFF_UP)), f"link set {index} down"


def master_message(index: int, master: int) -> Message:
    """Put a link into a bridge, or with master 0 take it out."""
    return RTM_NEWLINK, 0, _link(index) + u32(_IFLA_MASTER, master), f"link set {index} master {master}"


def rename_message(index: int, name: str) -> Message:
    """Give a link another name."""
    return RTM_NEWLINK, 0, _link(index) + text(_IFLA_IFNAME, name), f"link set {index} name {name}"


def alias_message(name: str, alias: str) -> Message:
    """Set a link's alias (ifAlias, at most 254 bytes, else ERANGE): free text that stays with it."""
    return (
        RTM_NEWLINK,
        0,
        _link() + text(_IFLA_IFNAME, name) + text(_IFLA_IFALIAS, alias),
        f"link set {name} alias {alias!r}",
    )


def no_link_local_message(name: str) -> Message:
    """Keep the kernel from giving the link `name` an IPv6 link-local address when it comes up."""
    spec = nested(_IFLA_AF_SPEC, nested(socket.AF_INET6, u8(_IFLA_INET6_ADDR_GEN_MODE, _IN6_ADDR_GEN_MODE_NONE)))
    return RTM_SETLINK, 0, _link() + text(_IFLA_IFNAME, name) + spec, f"link set {name} addrgenmode none"


def move_message(index: int, name: str, pid: int = 0, descriptor: int = -1, new_index: int = 0) -> Message:
    """Move a link to the network namespace of process `pid`, or of `descriptor`, where it is called `name`; it is down then.

    With `new_index` it has that index there (Linux 5.13; older kernels choose one). EEXIST where name or index is taken.
    """
    where = u32(_IFLA_NET_NS_FD, descriptor) if descriptor >= 0 else u32(_IFLA_NET_NS_PID, pid)
    body = _link(index) + where + text(_IFLA_IFNAME, name) + (u32(_IFLA_NEW_IFINDEX, new_index) if new_index else b"")
    return RTM_NEWLINK, 0, body, f"link set {index} netns {descriptor if descriptor >= 0 else pid} name {name}"


def delete_message(index: int = 0, name: str = "") -> Message:
    """Remove a link; of a pair both go."""
    body = _link(index) + (text(_IFLA_IFNAME, name) if name else b"")
    return RTM_DELLINK, 0, body, f"link delete {name or index}"


def _family(address: bytes) -> socket.AddressFamily:
    return socket.AF_INET if len(address) == 4 else socket.AF_INET6


def _words(address: bytes) -> str:
    return socket.inet_ntop(_family(address), address)


def address_message(index: int, address: bytes, prefix: int) -> Message:
    """Give a link an address; the same one again is no error.

    An IPv4 one comes with its network's broadcast address. An IPv6 one is used at once, without a search for duplicates.
    """
    family = _family(address)
    flags = _IFA_F_NODAD if family == socket.AF_INET6 else 0
    body = (
        _ADDRESS.pack(family, prefix, flags, _RT_SCOPE_UNIVERSE, index)
        + attribute(_IFA_LOCAL, address)
        + attribute(_IFA_ADDRESS, address)
    )
    if family == socket.AF_INET:
        host_bits = (1 << (32 - prefix)) - 1
        body += attribute(_IFA_BROADCAST, (int.from_bytes(address, "big") | host_bits).to_bytes(4, "big"))
    what = f"address add {_words(address)}/{prefix} dev {index}"
    return RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, body, what


def remove_address_message(index: int, address: bytes, prefix: int) -> Message:
    """Take an address from a link."""
    body = _ADDRESS.pack(_family(address), prefix, 0, 0, index) + attribute(_IFA_LOCAL, address)
    return RTM_DELADDR, 0, body, f"address delete {_words(address)}/{prefix} dev {index}"


def default_route_message(gateway: bytes, index: int = 0) -> Message:
    """The default route of the gateway's family. It must be on a network of a link that is up; a link-local one needs `index`."""
    body = _ROUTE.pack(
        _family(gateway), 0, 0, 0, _RT_TABLE_MAIN, _RTPROT_BOOT, _RT_SCOPE_UNIVERSE, _RTN_UNICAST, 0
    ) + attribute(_RTA_GATEWAY, gateway)
    if index:
        body += u32(_RTA_OIF, index)
    return RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, body, f"route add default via {_words(gateway)}"


def device_route_message(index: int, family: int) -> Message:
    """The default route of a family straight to the link `index`: everybody is asked for there, or taken to be (NOARP)."""
    scope = _RT_SCOPE_LINK if family == socket.AF_INET else _RT_SCOPE_UNIVERSE
    body = _ROUTE.pack(family, 0, 0, 0, _RT_TABLE_MAIN, _RTPROT_BOOT, scope, _RTN_UNICAST, 0) + u32(_RTA_OIF, index)
    return RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, body, f"route add default dev {index}"


def route_message(index: int, destination: bytes, prefix: int, gateway: bytes = b"") -> Message:
    """A route to a network by the link `index`: straight, or by a gateway that is reached there."""
    scope = _RT_SCOPE_LINK if len(destination) == 4 and not gateway else _RT_SCOPE_UNIVERSE
    body = _ROUTE.pack(
        _family(destination), prefix, 0, 0, _RT_TABLE_MAIN, _RTPROT_BOOT, scope, _RTN_UNICAST, 0
    ) + attribute(_RTA_DST, destination)
    if gateway:
        body += attribute(_RTA_GATEWAY, gateway)
    body += u32(_RTA_OIF, index)
    return RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, body, f"route add {_words(destination)}/{prefix} dev {index}"


def no_default_route_message(family: int = socket.AF_INET) -> Message:
    """Take the default route of a family away; ESRCH where there is none."""
    body = _ROUTE.pack(family, 0, 0, 0, _RT_TABLE_MAIN, 0, _RT_SCOPE_UNIVERSE, 0, 0)
    return RTM_DELROUTE, 0, body, "route delete default"


def neighbour_message(index: int, address: bytes, mac: bytes) -> Message:
    """Record where `address` lives now, over whatever the kernel believed; it is checked at first use (NUD_STALE)."""
    body = (
        _NEIGHBOUR.pack(_family(address), index, _NUD_STALE, 0, 0)
        + attribute(_NDA_DST, address)
        + attribute(_NDA_LLADDR, mac)
    )
    what = f"neighbour {_words(address)} lladdr {mac.hex(':')} dev {index}"
    return RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, body, what


class Link:
    """A network device: name, `kind` ("" for a physical one), `master` (0 for none), `alias`, state and hardware address."""

    __slots__ = ("alias", "index", "kind", "mac", "master", "mtu", "name", "up")

    def __init__(self, body: bytes) -> None:
        _, _, self.index, flags, _ = _LINK.unpack_from(body)
        found = table(body, _LINK.size)
        info = table(found.get(_IFLA_LINKINFO, b""))
        self.name = as_text(found.get(_IFLA_IFNAME, b""))
        self.kind = as_text(info.get(_IFLA_INFO_KIND, b""))
        self.alias = as_text(found.get(_IFLA_IFALIAS, b""))
        self.mac = found.get(_IFLA_ADDRESS, b"")
        self.master = _number(found.get(_IFLA_MASTER))
        self.mtu = _number(found.get(_IFLA_MTU))
        self.up = bool(flags & IFF_UP)


class Address:
    """An address of a link."""

    __slots__ = ("address", "index", "prefix")

    def __init__(self, body: bytes) -> None:
        _, self.prefix, _, _, self.index = _ADDRESS.unpack_from(body)
        found = table(body, _ADDRESS.size)
        self.address = found.get(_IFA_LOCAL) or found.get(_IFA_ADDRESS, b"")


class RouteEntry:
    """A route: `destination`/`prefix` (0.0.0.0/0 and ::/0 are default routes), by link `index`, in routing table `table`."""

    __slots__ = ("destination", "index", "kind", "prefix", "table")

    def __init__(self, body: bytes) -> None:
        family, self.prefix, _, _, low, _, _, self.kind, _ = _ROUTE.unpack_from(body)
        found = table(body, _ROUTE.size)
        self.destination = found.get(_RTA_DST, bytes(4 if family == socket.AF_INET else 16))
        self.index = _number(found.get(_RTA_OIF))
        self.table = _number(found.get(_RTA_TABLE)) or low


def _number(value: bytes | None) -> int:
    return int.from_bytes(value, "little") if value else 0


def link_by_name(route: Netlink, name: str) -> Link | None:
    """The link of that name; None where there is none."""
    return _one_link(route, _link() + text(_IFLA_IFNAME, name), f"link get {name}")


def link_by_index(route: Netlink, index: int) -> Link | None:
    """The link with that index; None where there is none."""
    return _one_link(route, _link(index), f"link get {index}")


def _one_link(route: Netlink, body: bytes, what: str) -> Link | None:
    try:
        return Link(route.get(RTM_GETLINK, body, what)[1])
    except OSError as error:
        if error.errno == errno.ENODEV:
            return None
        raise


def links(route: Netlink, kind: str = "") -> list[Link]:
    """Every link of the namespace, or every one of a kind ("bridge")."""
    body = _link()
    if kind:
        body += nested(_IFLA_LINKINFO, text(_IFLA_INFO_KIND, kind))
    found = [Link(body) for _, body in route.dump(RTM_GETLINK, body, "link dump")]
    return [link for link in found if kind in ("", link.kind)]


def addresses(route: Netlink, family: int = socket.AF_INET) -> list[Address]:
    """Every address of a family in the namespace."""
    body = _ADDRESS.pack(family, 0, 0, 0, 0)
    # A kernel without the family answers with those of all.
    return [Address(found) for _, found in route.dump(RTM_GETADDR, body, "address dump") if found[0] == family]


def routes(route: Netlink, family: int = socket.AF_INET) -> list[RouteEntry]:
    """Every route of a family in the namespace, in all tables."""
    body = _ROUTE.pack(family, 0, 0, 0, 0, 0, 0, 0, 0)
    return [RouteEntry(found) for _, found in route.dump(RTM_GETROUTE, body, "route dump") if found[0] == family]
