"""What an nf_tables rule is made of: expressions that load a register, compare it, and decide.

Each function gives one expression for `nftables.rule_message`; those above the line that joins several (`interface`,
`source_in`, …) say what `nft` would print. A rule is read left to right and ends at the first expression that does not hold.
Values lie in register 1 and, where more than 4 bytes are joined to one key, in the 4-byte registers behind it. Where an address
is looked at, the rule's family says where it stands and how long it is.
"""

from __future__ import annotations

import enum
import socket
import sys

from sampan.kernel.netlink import attribute, be32, nested, text
from sampan.kernel.nftables import Family, Verdict, data_value

_REG_VERDICT = 0
_REG_1 = 1
_REG_2 = 2
_REG32 = 8
"""The first of the 4-byte registers; register 1 covers four of them."""

_IFNAMSIZ = 16


class Meta(enum.IntEnum):
    """NFT_META_*: facts about a packet that are not in it."""

    MARK = 3
    IIFNAME = 6
    OIFNAME = 7
    NFPROTO = 15
    L4PROTO = 16
    IIFKIND = 26
    OIFKIND = 27


class CtState(enum.IntFlag):
    """Bits of `ct state`."""

    ESTABLISHED = 0x02
    RELATED = 0x04
    NEW = 0x08


class CtStatus(enum.IntFlag):
    """Bits of `ct status` (IPS_*)."""

    DST_NAT = 0x20


_CT_STATE = 0
_CT_STATUS = 2
_EQ = 0
_NEQ = 1
_PAYLOAD_NETWORK = 1
_PAYLOAD_TRANSPORT = 2
_LOOKUP_INVERTED = 1
_FIB_ADDRTYPE = 3
_FIB_DADDR = 2
_RTN_LOCAL = 2
_SOCKET_TRANSPARENT = 0
_NAT_SNAT = 0
_NAT_DNAT = 1
_SOURCE = {Family.IPV4: 12, Family.IPV6: 8}
_DESTINATION = {Family.IPV4: 16, Family.IPV6: 24}
_LENGTH = {Family.IPV4: 4, Family.IPV6: 16}
_SOCKET_FAMILY = {Family.IPV4: socket.AF_INET, Family.IPV6: socket.AF_INET6}
_DESTINATION_PORT = 2
_ICMP = {Family.IPV4: socket.IPPROTO_ICMP, Family.IPV6: socket.IPPROTO_ICMPV6}
_ICMP_REDIRECT = {Family.IPV4: 5, Family.IPV6: 137}
_LINK_LOCAL = (b"\xfe\x80" + bytes(14), b"\xff\xc0" + bytes(14))


def _expression(name: str, *parts: bytes) -> bytes:
    return nested(1, text(1, name), nested(2, *parts))


def _load_meta(key: Meta, register: int = _REG_1) -> bytes:
    return _expression("meta", be32(1, register), be32(2, key))


def _load_payload(base: int, offset: int, length: int, register: int = _REG_1) -> bytes:
    return _expression("payload", be32(1, register), be32(2, base), be32(3, offset), be32(4, length))


def _load_ct(key: int) -> bytes:
    return _expression("ct", be32(1, _REG_1), be32(2, key))


def _compare(value: bytes, equal: bool = True) -> bytes:
    return _expression("cmp", be32(1, _REG_1), be32(2, _EQ if equal else _NEQ), data_value(3, value))


def _mask(mask: bytes) -> bytes:
    zero = bytes(len(mask))
    return _expression(
        "bitwise", be32(1, _REG_1), be32(2, _REG_1), be32(3, len(mask)), data_value(4, mask), data_value(5, zero)
    )


def _load_source(family: Family, register: int = _REG_1) -> bytes:
    return _load_payload(_PAYLOAD_NETWORK, _SOURCE[family], _LENGTH[family], register)


def _load_destination(family: Family, register: int = _REG_1) -> bytes:
    return _load_payload(_PAYLOAD_NETWORK, _DESTINATION[family], _LENGTH[family], register)


def _load_target(family: Family, with_address: bool) -> bytes:
    """Protocol, the address where that is wanted, and port, side by side."""
    second = _REG32 + 1
    load = _load_meta(Meta.L4PROTO)
    if not with_address:
        return load + _load_payload(_PAYLOAD_TRANSPORT, _DESTINATION_PORT, 2, second)
    load += _load_destination(family, second)
    return load + _load_payload(_PAYLOAD_TRANSPORT, _DESTINATION_PORT, 2, second + _words(family))


def _words(family: Family) -> int:
    """How many 4-byte registers an address takes."""
    return _LENGTH[family] // 4


def _in_set(name: str, inside: bool = True) -> bytes:
    return _expression("lookup", text(1, name), be32(2, _REG_1), *(() if inside else (be32(5, _LOOKUP_INVERTED),)))


# ---- conditions ----


def interface(key: Meta, name: str, equal: bool = True) -> bytes:
    """`iifname "NAME"`, written as iptables writes it too: the name and its NUL."""
    return _load_meta(key) + _compare(name.encode() + b"\0", equal)


def interface_in(key: Meta, name: str, inside: bool = True) -> bytes:
    """`iifname @SET`."""
    return _load_meta(key) + _in_set(name, inside)


def interfaces_in(name: str, inside: bool = True) -> bytes:
    """`iifname . oifname @SET`: the two names lie side by side in registers 1 and 2."""
    return _load_meta(Meta.IIFNAME) + _load_meta(Meta.OIFNAME, _REG_2) + _in_set(name, inside)


def kind(key: Meta, name: str, equal: bool = True) -> bytes:
    """`iifkind "bridge"`; the name fills 16 bytes."""
    return _load_meta(key) + _compare(name.encode().ljust(_IFNAMSIZ, b"\0"), equal)


def network_protocol(family: Family) -> bytes:
    """`meta nfproto ipv4`, `ipv6`, in a table of both."""
    return _load_meta(Meta.NFPROTO) + _compare(bytes((family,)))


def source_in(family: Family, name: str) -> bytes:
    """`ip saddr @SET`."""
    return _load_source(family) + _in_set(name)


def linked_in(family: Family, name: str) -> bytes:
    """`ip saddr . ip daddr . meta l4proto . th dport @SET`."""
    words = _words(family)
    load = _load_source(family) + _load_destination(family, _REG32 + words)
    load += _load_meta(Meta.L4PROTO, _REG32 + 2 * words)
    load += _load_payload(_PAYLOAD_TRANSPORT, _DESTINATION_PORT, 2, _REG32 + 2 * words + 1)
    return load + _in_set(name)


def opened_in(family: Family, name: str) -> bytes:
    """`ip daddr . meta l4proto . th dport @SET`."""
    words = _words(family)
    load = _load_destination(family) + _load_meta(Meta.L4PROTO, _REG32 + words)
    load += _load_payload(_PAYLOAD_TRANSPORT, _DESTINATION_PORT, 2, _REG32 + words + 1)
    return load + _in_set(name)


def icmp(family: Family) -> bytes:
    """`meta l4proto icmp`."""
    return _load_meta(Meta.L4PROTO) + _compare(bytes((_ICMP[family],)))


def icmp_redirect(family: Family) -> bytes:
    """`icmp type redirect`."""
    return icmp(family) + _load_payload(_PAYLOAD_TRANSPORT, 0, 1) + _compare(bytes((_ICMP_REDIRECT[family],)))


def destination_in(family: Family, name: str) -> bytes:
    """`ip daddr @SET`."""
    return _load_destination(family) + _in_set(name)


def source_link_local() -> bytes:
    """`ip6 saddr fe80::/10`."""
    value, mask = _LINK_LOCAL
    return _load_source(Family.IPV6) + _mask(mask) + _compare(value)


def source_loopback(family: Family) -> bytes:
    """`ip saddr 127.0.0.0/8`, `ip6 saddr ::1`."""
    return _loopback(family, _SOURCE[family])


def destination_loopback(family: Family) -> bytes:
    """`ip daddr 127.0.0.0/8`, `ip6 daddr ::1`."""
    return _loopback(family, _DESTINATION[family])


def _loopback(family: Family, offset: int) -> bytes:
    value = b"\x7f" if family == Family.IPV4 else socket.inet_pton(socket.AF_INET6, "::1")
    return _load_payload(_PAYLOAD_NETWORK, offset, len(value)) + _compare(value)


def destination_local(local: bool = True) -> bytes:
    """`fib daddr type local`: the destination is one of the host's own addresses."""
    load = _expression("fib", be32(1, _REG_1), be32(2, _FIB_ADDRTYPE), be32(3, _FIB_DADDR))
    return load + _compare(_RTN_LOCAL.to_bytes(4, "little"), local)


def connection_state(states: CtState, among: bool = True) -> bytes:
    """`ct state established,related`: any of them, or none."""
    return _load_ct(_CT_STATE) + _mask(states.to_bytes(4, "little")) + _compare(bytes(4), equal=not among)


def port_in(family: Family, name: str, with_address: bool) -> bytes:
    """`meta l4proto . [ip daddr .] th dport @SET`."""
    return _load_target(family, with_address) + _in_set(name)


def connection_status(status: CtStatus) -> bytes:
    """`ct status dnat`."""
    return _load_ct(_CT_STATUS) + _mask(status.to_bytes(4, "little")) + _compare(bytes(4), equal=False)


def marked(value: int, mask: int) -> bytes:
    """`meta mark & MASK == VALUE`."""
    load = _load_meta(Meta.MARK) + _mask(mask.to_bytes(4, sys.byteorder))
    return load + _compare((value & mask).to_bytes(4, sys.byteorder))


def transparent_socket() -> bytes:
    """`socket transparent 1`: a packet to a socket here that is bound to an address which need not be ours."""
    load = _expression("socket", be32(1, _SOCKET_TRANSPARENT), be32(2, _REG_1))
    return load + _compare(b"\1")


# ---- what is done ----


def mark(value: int) -> bytes:
    """`meta mark set VALUE`."""
    load = _expression("immediate", be32(1, _REG_1), data_value(2, value.to_bytes(4, sys.byteorder)))
    return load + _expression("meta", be32(2, Meta.MARK), be32(3, _REG_1))


def verdict(code: Verdict, chain: str = "") -> bytes:
    """`accept`, `drop`, `return`, `jump CHAIN`."""
    value = be32(1, code & 0xFFFFFFFF) + (text(2, chain) if chain else b"")
    return _expression("immediate", be32(1, _REG_VERDICT), nested(2, nested(2, value)))


def counter() -> bytes:
    """`counter`; iptables expects one in each of its rules."""
    return _expression("counter", attribute(1, bytes(8)), attribute(2, bytes(8)))


def masquerade() -> bytes:
    """`masquerade`."""
    return _expression("masq")


def redirect(protocol: int, port: int, to: bytes, to_port: int) -> bytes:
    """`meta l4proto PROTOCOL th dport PORT dnat to ADDRESS:PORT`, IPv4."""
    second = _REG32 + 1
    return (
        _load_meta(Meta.L4PROTO)
        + _compare(protocol.to_bytes(1, "big"))
        + _load_payload(_PAYLOAD_TRANSPORT, _DESTINATION_PORT, 2)
        + _compare(port.to_bytes(2, "big"))
        + _expression("immediate", be32(1, _REG_1), data_value(2, to))
        + _expression("immediate", be32(1, second), data_value(2, to_port.to_bytes(2, "big")))
        + _expression("nat", be32(1, _NAT_DNAT), be32(2, socket.AF_INET), be32(3, _REG_1), be32(5, second))
    )


def destination(address: bytes) -> bytes:
    """`ip daddr ADDRESS`."""
    return _load_destination(Family.IPV4 if len(address) == 4 else Family.IPV6) + _compare(address)


def destination_nat(family: Family, name: str, with_address: bool) -> bytes:
    """`dnat ip addr . port to meta l4proto . [ip daddr .] th dport map @NAME`: where the map knows the packet's target."""
    words = _words(family)
    load = _load_target(family, with_address)
    find = _expression("lookup", text(1, name), be32(2, _REG_1), be32(3, _REG_1))
    change = _expression(
        "nat", be32(1, _NAT_DNAT), be32(2, _SOCKET_FAMILY[family]), be32(3, _REG_1), be32(5, _REG32 + words)
    )
    return load + find + change


def source_nat(family: Family, name: str) -> bytes:
    """`snat ip addr to ip saddr map @NAME`: where the map knows the sender's network."""
    find = _expression("lookup", text(1, name), be32(2, _REG_1), be32(3, _REG_1))
    change = _expression("nat", be32(1, _NAT_SNAT), be32(2, _SOCKET_FAMILY[family]), be32(3, _REG_1))
    return _load_source(family) + find + change
