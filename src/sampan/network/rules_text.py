"""What the kernel holds of nf_tables, in the syntax of the `nft` command: rules, declarations, elements.

Only what Sampan writes itself is known here; a rule of another hand raises Unreadable. The text is made from the binary
form alone, so that the plan and the kernel's answer are compared in it as well (`rules_report`).
"""

from __future__ import annotations

import ipaddress
import socket
import sys
from typing import TYPE_CHECKING

from sampan.kernel.netlink import as_text, table
from sampan.kernel.nftables import Family, Hook, SetFlag, Type, Verdict
from sampan.kernel.nftables_rules import CtState, CtStatus, Meta

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sampan.kernel.nftables import Chain, Rule
    from sampan.kernel.nftables_sets import Element, Set

_TYPES = {
    Type.IPV4_ADDR: ("ipv4_addr", 4), Type.IPV6_ADDR: ("ipv6_addr", 16), Type.INET_PROTO: ("inet_proto", 1),
    Type.INET_SERVICE: ("inet_service", 2), Type.IFNAME: ("ifname", 16),
}  # fmt: skip
_META = {
    Meta.IIFNAME: "iifname", Meta.OIFNAME: "oifname", Meta.L4PROTO: "meta l4proto",
    Meta.IIFKIND: "meta iifkind", Meta.OIFKIND: "meta oifkind", Meta.MARK: "meta mark",
}  # fmt: skip
_FIELDS = {
    ("ip", 12): ("ip saddr", 4), ("ip", 16): ("ip daddr", 4), ("ip6", 8): ("ip6 saddr", 16), ("ip6", 24): ("ip6 daddr", 16),
}  # fmt: skip
_PROTOCOLS = {
    socket.IPPROTO_ICMP: "icmp", socket.IPPROTO_TCP: "tcp", socket.IPPROTO_UDP: "udp", socket.IPPROTO_ICMPV6: "ipv6-icmp",
    socket.IPPROTO_SCTP: "sctp",
}  # fmt: skip
_REDIRECTS = {5: "icmp type redirect", 137: "icmpv6 type nd-redirect"}
_BIT_NAMES: dict[CtState | CtStatus, str] = {
    CtState.ESTABLISHED: "established", CtState.RELATED: "related", CtState.NEW: "new", CtStatus.DST_NAT: "dnat",
}  # fmt: skip
_PRIORITIES: dict[int, tuple[tuple[Hook, ...], str]] = {
    -300: ((), "raw"), -100: ((Hook.PREROUTING,), "dstnat"), 0: ((), "filter"), 100: ((Hook.POSTROUTING,), "srcnat"),
}  # fmt: skip
"""Priority → (the hooks on which `nft` knows it by name, none for all; that name)."""
_LOCAL = 2
_NOT_EQUAL = 1
_REG_VERDICT = 0


class Unreadable(Exception):
    """An expression that is none of Sampan's."""


def rule_text(family: Family, rule: Rule) -> str:
    """One rule on one line. Raises Unreadable."""
    reader = _Reader(family.word)
    for name, data in rule.expressions:
        reader.read(name, table(data))
    words = [*reader.words, *([f'comment "{rule.comment}"'] if rule.comment else [])]
    return " ".join(words)


def type_text(number: int) -> str:
    """`inet_proto . inet_service`."""
    return " . ".join(_TYPES[kind][0] for kind in _kinds(number))


def base_text(chain: Chain) -> str:
    """What makes a chain a base chain; empty for one that is only jumped to."""
    if chain.hook < 0:
        return ""
    policy = Verdict(chain.policy).name.lower() if chain.policy is not None else "accept"
    hooks, name = _PRIORITIES.get(chain.priority, ((), ""))
    priority = name if chain.hook in hooks or (name and not hooks) else str(chain.priority)
    return f"type {chain.kind} hook {Hook(chain.hook).name.lower()} priority {priority}; policy {policy};"


def declaration(one: Set) -> list[str]:
    """The lines of a set's declaration, without its elements."""
    data = f" : {type_text(one.data)}" if one.data else ""
    return [f"type {type_text(one.key)}{data}", *(["flags interval"] if one.flags & SetFlag.INTERVAL else [])]


def parts_of(number: int, value: bytes) -> list[str]:
    """The members of a key or of data, by their type."""
    found, offset = [], 0
    for kind in _kinds(number):
        length = _TYPES[kind][1]
        found.append(_value(kind, value[offset : offset + length]))
        offset += (length + 3) & ~3
    return found


def networks_of(elements: Sequence[Element]) -> list[tuple[str, bytes]]:
    """The networks that an interval set holds, and what each leads to. Raises Unreadable where one is not closed."""
    ordered = sorted(elements, key=lambda one: (one.key, not one.ends))
    found: list[tuple[str, bytes]] = []
    start: Element | None = None
    for one in ordered:
        if start is not None:
            found.append((_network(start.key, one.key), start.data))
        start = None if one.ends else one
    if start is not None:
        found.append((_network(start.key, b"\xff" * len(start.key), inclusive=True), start.data))
    return found


def _network(first: bytes, behind: bytes, inclusive: bool = False) -> str:
    low = ipaddress.ip_address(first)
    high = ipaddress.ip_address(int.from_bytes(behind, "big") - (0 if inclusive else 1))
    if low.version == 6:
        high = ipaddress.IPv6Address(int(high))
    cut = list(ipaddress.summarize_address_range(low, high))
    return str(cut[0]) if len(cut) == 1 else f"{low}-{high}"


def _kinds(number: int) -> list[Type]:
    """The types that a number joins; raises Unreadable for one that is not known."""
    found: list[Type] = []
    while number:
        try:
            found.insert(0, Type(number & 63))
        except ValueError as error:
            raise Unreadable(f"type {number}") from error
        number >>= 6
    return found


def _value(kind: Type, value: bytes) -> str:
    match kind:
        case Type.IPV4_ADDR | Type.IPV6_ADDR:
            return str(ipaddress.ip_address(value))
        case Type.INET_PROTO:
            return _PROTOCOLS.get(value[0], str(value[0]))
        case Type.INET_SERVICE:
            return str(int.from_bytes(value, "big"))
        case Type.IFNAME:
            return f'"{as_text(value)}"'


class _Reader:
    """Walks through a rule's expressions: what lies in which register, and what has been said so far."""

    def __init__(self, family: str) -> None:
        self.words: list[str] = []
        self._family = family
        self._loaded: dict[int, tuple[str, int]] = {}
        """4-byte register → (what was loaded there, its length)"""
        self._mask = b""

    def read(self, name: str, found: dict[int, bytes]) -> None:
        step: Callable[[dict[int, bytes]], None] | None = getattr(self, f"_{name}", None)
        if step is None:
            raise Unreadable(name)
        step(found)

    def _load(self, register: bytes, what: str, length: int) -> None:
        self._loaded[_place(register)] = (what, length)

    def _at(self, register: bytes) -> tuple[str, int]:
        try:
            return self._loaded[_place(register)]
        except KeyError as error:
            raise Unreadable("a register that nothing was loaded into") from error

    def _joined(self, register: bytes) -> str:
        """What lies from a register on, side by side; it is used up with that."""
        first = place = _place(register)
        found = []
        while place in self._loaded:
            what, length = self._loaded.pop(place)
            found.append(what)
            place += (length + 3) // 4
        if place == first:
            raise Unreadable("a register that nothing was loaded into")
        return " . ".join(found)

    def _meta(self, found: dict[int, bytes]) -> None:
        key = _number(found[2])
        if 1 not in found or key not in _META:
            raise Unreadable(f"meta {key}")
        self._load(found[1], _META[Meta(key)], 1 if key == Meta.L4PROTO else 16)

    def _payload(self, found: dict[int, bytes]) -> None:
        base, offset, length = (_number(found[kind]) for kind in (2, 3, 4))
        if base == 1 and (self._family, offset) in _FIELDS:
            self._load(found[1], _FIELDS[self._family, offset][0], length)
        elif base == 2 and (offset, length) == (2, 2):
            self._load(found[1], "th dport", length)
        elif base == 2 and (offset, length) == (0, 1):
            self._load(found[1], "icmp type", length)
        else:
            raise Unreadable(f"payload {base} {offset} {length}")

    def _ct(self, found: dict[int, bytes]) -> None:
        names = {0: "ct state", 2: "ct status"}
        if _number(found[2]) not in names:
            raise Unreadable(f"ct {_number(found[2])}")
        self._load(found[1], names[_number(found[2])], 4)

    def _fib(self, found: dict[int, bytes]) -> None:
        if (_number(found[2]), _number(found[3])) != (3, 2):
            raise Unreadable("fib")
        self._load(found[1], "fib daddr type", 4)

    def _bitwise(self, found: dict[int, bytes]) -> None:
        self._mask = table(found[4])[1]

    def _cmp(self, found: dict[int, bytes]) -> None:
        what, length = self._at(found[1])
        value = table(found[3])[1]
        self._loaded.pop(_place(found[1]))
        mask, self._mask = self._mask, b""
        if what in ("ct state", "ct status"):
            kind = CtState if what == "ct state" else CtStatus
            self.words.append(f"{what} {_bits(kind, int.from_bytes(mask, 'little'))}")
            return
        if what == "icmp type":
            # The protocol is said with it.
            if self.words[-1:] and self.words[-1].startswith("meta l4proto "):
                self.words.pop()
            self.words.append(_REDIRECTS.get(value[0], f"icmp type {value[0]}"))
            return
        if what == "meta mark":
            bits, wanted = (int.from_bytes(one, sys.byteorder) for one in (mask, value))
            self.words.append(f"meta mark & 0x{bits:08x} == 0x{wanted:08x}")
            return
        operator = "!= " if _number(found[2]) == _NOT_EQUAL else ""
        self.words.append(f"{what} {operator}{self._compared(what, length, value, mask)}")

    def _compared(self, what: str, length: int, value: bytes, mask: bytes) -> str:
        if what in ("iifname", "oifname", "meta iifkind", "meta oifkind"):
            return f'"{as_text(value)}"'
        if what == "meta l4proto":
            return _PROTOCOLS.get(value[0], str(value[0]))
        if what == "fib daddr type":
            if int.from_bytes(value, "little") != _LOCAL:
                raise Unreadable("fib type")
            return "local"
        if what == "th dport":
            return str(int.from_bytes(value, "big"))
        whole = 16 if what.startswith("ip6 ") else 4
        bits = f"{int.from_bytes(mask, 'big'):b}".count("1") if mask else 8 * length
        address = ipaddress.ip_address(value.ljust(whole, b"\0"))
        return str(address) if bits == 8 * whole else f"{address}/{bits}"

    def _lookup(self, found: dict[int, bytes]) -> None:
        name = as_text(found[1])
        key = self._joined(found[2])
        if 3 in found:
            self._load(found[3], f"{key} map @{name}", 4)
            return
        self.words.append(f"{key} {'!= ' if _number(found.get(5, b'')) & 1 else ''}@{name}")

    def _nat(self, found: dict[int, bytes]) -> None:
        # As `nft` has it: the family is said where a port is translated as well.
        verb = f"dnat {self._family}" if _number(found[1]) else "snat"
        self.words.append(f"{verb} to {self._at(found[3])[0]}")

    def _masq(self, _: dict[int, bytes]) -> None:
        self.words.append("masquerade")

    def _counter(self, found: dict[int, bytes]) -> None:
        self.words.append(f"counter packets {_number(found.get(2, b''))} bytes {_number(found.get(1, b''))}")

    def _immediate(self, found: dict[int, bytes]) -> None:
        if _number(found[1]) != _REG_VERDICT:
            raise Unreadable("a value")
        inner = table(table(found[2])[2])
        code = int.from_bytes(inner[1], "big", signed=True)
        chain = f" {as_text(inner[2])}" if 2 in inner else ""
        try:
            self.words.append(Verdict(code).name.lower() + chain)
        except ValueError as error:
            raise Unreadable(f"verdict {code}") from error


def _number(value: bytes) -> int:
    return int.from_bytes(value, "big")


def _place(register: bytes) -> int:
    """A register's first 4 bytes, by number: 1 to 4 are four of them each."""
    number = _number(register)
    return 8 + 4 * (number - 1) if number < 8 else number


def _bits(kind: type[CtState | CtStatus], value: int) -> str:
    """The names of the bits: `established,related`; `dnat`."""
    return ",".join(_BIT_NAMES[one] for one in kind(value))
