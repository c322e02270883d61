"""What an nf_tables rule is made of: expressions that load a register, compare it, and decide.

Each function gives one expression for `nftables.rule_message`; those above the line that joins several (`interface`,
`source_in`, …) say what `nft` would print. A rule is read left to right and ends at the first expression that does not hold.
Values lie in register 1 and, where more than 4 bytes are joined to one key, in the 4-byte registers behind it.
"""

from __future__ import annotations

import enum
import socket

from sampan.kernel.netlink import attribute, be32, nested, text
from sampan.kernel.nftables import Verdict, data_value

_REG_VERDICT = 0
_REG_1 = 1
_REG_2 = 2
_REG32 = 8
"""The first of the 4-byte registers; register 1 covers four of them."""

_IFNAMSIZ = 16


class Meta(enum.IntEnum):
    """NFT_META_*: facts about a packet that are not in it."""

    IIFNAME = 6
    OIFNAME = 7
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
_NAT_DNAT = 1
_SOURCE = 12
_DESTINATION = 16
_DESTINATION_PORT = 2
_ICMP_REDIRECT = 5


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


def source_in(name: str) -> bytes:
    """`ip saddr @SET`."""
    return _load_payload(_PAYLOAD_NETWORK, _SOURCE, 4) + _in_set(name)


def linked_in(name: str) -> bytes:
    """`ip saddr . ip daddr . meta l4proto . th dport @SET`."""
    second = _REG32 + 1
    load = _load_payload(_PAYLOAD_NETWORK, _SOURCE, 4)
    load += _load_payload(_PAYLOAD_NETWORK, _DESTINATION, 4, second)
    load += _load_meta(Meta.L4PROTO, second + 1)
    load += _load_payload(_PAYLOAD_TRANSPORT, _DESTINATION_PORT, 2, second + 2)
    return load + _in_set(name)


def icmp_redirect() -> bytes:
    """`icmp type redirect`."""
    is_icmp = _load_meta(Meta.L4PROTO) + _compare(bytes((socket.IPPROTO_ICMP,)))
    return is_icmp + _load_payload(_PAYLOAD_TRANSPORT, 0, 1) + _compare(bytes((_ICMP_REDIRECT,)))


def destination_in(name: str) -> bytes:
    """`ip daddr @SET`."""
    return _load_payload(_PAYLOAD_NETWORK, _DESTINATION, 4) + _in_set(name)


def source_loopback() -> bytes:
    """`ip saddr 127.0.0.0/8`."""
    return _load_payload(_PAYLOAD_NETWORK, _SOURCE, 1) + _compare(b"\x7f")


def destination_loopback() -> bytes:
    """`ip daddr 127.0.0.0/8`."""
    return _load_payload(_PAYLOAD_NETWORK, _DESTINATION, 1) + _compare(b"\x7f")


def destination_local(local: bool = True) -> bytes:
    """`fib daddr type local`: the destination is one of the host's own addresses."""
    load = _expression("fib", be32(1, _REG_1), be32(2, _FIB_ADDRTYPE), be32(3, _FIB_DADDR))
    return load + _compare(_RTN_LOCAL.to_bytes(4, "little"), local)


def connection_state(states: CtState) -> bytes:
    """`ct state established,related`: any of them."""
    return _load_ct(_CT_STATE) + _mask(states.to_bytes(4, "little")) + _compare(bytes(4), equal=False)


def connection_status(status: CtStatus) -> bytes:
    """`ct status dnat`."""
    return _load_ct(_CT_STATUS) + _mask(status.to_bytes(4, "little")) + _compare(bytes(4), equal=False)


# ---- what is done ----


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
    return _load_payload(_PAYLOAD_NETWORK, _DESTINATION, 4) + _compare(address)


def destination_nat(name: str, with_address: bool) -> bytes:
    """`dnat ip addr . port to meta l4proto . [ip daddr .] th dport map @NAME`: where the map knows the packet's target."""
    second = _REG32 + 1
    load = _load_meta(Meta.L4PROTO)
    if with_address:
        load += _load_payload(_PAYLOAD_NETWORK, _DESTINATION, 4, second)
        load += _load_payload(_PAYLOAD_TRANSPORT, _DESTINATION_PORT, 2, second + 1)
    else:
        load += _load_payload(_PAYLOAD_TRANSPORT, _DESTINATION_PORT, 2, second)
    find = _expression("lookup", text(1, name), be32(2, _REG_1), be32(3, _REG_1))
    change = _expression("nat", be32(1, _NAT_DNAT), be32(2, socket.AF_INET), be32(3, _REG_1), be32(5, second))
    return load + find + change
