"""Rules, sets and elements of one nf_tables table said again for another, as bytes: nothing in them is understood but names.

What a rule refers to by name (chains, sets) is renamed; everything else is what the kernel told, extensions of iptables
included. A copy stands in a table of the same family. Two things differ in it: counters are left out, and iptables' REJECT,
which is bound to its hooks, is said natively.
"""

from __future__ import annotations

from sampan.kernel.netlink import (
    NLM_F_APPEND,
    NLM_F_CREATE,
    NLM_F_EXCL,
    as_text,
    attribute,
    attributes,
    be32,
    nested,
    table,
    text,
)
from sampan.kernel.nftables import Family, Nft, SetFlag, header

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from sampan.kernel.netlink import Message
    from sampan.kernel.nftables import Rule

_GENMSG_SIZE = 4
_VERDICT_TYPE = 0xFFFFFF00
_ANONYMOUS_CONSTANT = 0x3
_OBJECTS = 0x40
_NFT_META_L4PROTO = 16
_NEQ = 1
_COMPAT_INVERTED = 2
_SET_ATTRIBUTES = (4, 5, 6, 7, 8, 9, 11, 12, 13, 17, 18)
"""Types, lengths, policy, description, timeouts, user data, expressions of elements; flags and names are said anew."""
_CONDITIONS = frozenset(
    (
        "bitwise",
        "byteorder",
        "cmp",
        "counter",
        "ct",
        "exthdr",
        "fib",
        "last",
        "limit",
        "log",
        "match",
        "meta",
        "payload",
        "range",
    )
)
# Objects that only count or mark (counter, conntrack helper and time-out, secmark, expectation): a copy does without.
_HARMLESS_OBJECTS = frozenset((1, 3, 7, 8, 9))
# struct ipt_reject_info, ip6t_reject_info: `with` → code of destination unreachable; -1 for a TCP reset, None for no answer.
_REJECT = {
    Family.IPV4: {0: 0, 1: 1, 2: 2, 3: 3, 5: 9, 6: 10, 7: -1, 8: 13},
    Family.IPV6: {0: 0, 1: 1, 2: 2, 3: 3, 4: 4, 6: -1, 7: 5, 8: 6},
}
_REJECT_UNREACHABLE, _REJECT_RESET = 0, 1


class CannotCopy(Exception):
    """Something that means nothing, or something else, outside its table; the text says what."""


class Foreign:
    """A set of somebody else's: its declaration and its elements, as the kernel told them."""

    __slots__ = ("_found", "elements", "flags", "is_verdicts", "name")

    def __init__(self, declaration: bytes) -> None:
        self._found = table(declaration, _GENMSG_SIZE)
        self.name = as_text(self._found.get(2, b""))
        self.flags = int.from_bytes(self._found.get(3, b""), "big")
        self.is_verdicts = int.from_bytes(self._found.get(6, b""), "big") == _VERDICT_TYPE
        self.elements: list[bytes] = []
        """lists of elements, a message's worth each"""

    def tell(self, message: bytes) -> int:
        """Take the elements of one message; how many they are."""
        several = table(message, _GENMSG_SIZE).get(3, b"")
        self.elements.append(several)
        return sum(1 for _ in attributes(several))

    def chains(self) -> Iterator[str]:
        """The chains that its elements lead to."""
        if self.is_verdicts:
            for several in self.elements:
                for _, one in attributes(several):
                    yield from _chain_of(table(one).get(2, b""))

    def declared(self, family: Family, in_table: str, name: str, number: int) -> Message:
        """The message that declares it elsewhere. Raises CannotCopy for a map of objects."""
        if self.flags & _OBJECTS:
            raise CannotCopy(f"the map {self.name} of objects")
        kept = b"".join(attribute(kind, self._found[kind]) for kind in _SET_ATTRIBUTES if kind in self._found)
        flags = SetFlag(self.flags & ~_ANONYMOUS_CONSTANT)
        body = header(family) + text(1, in_table) + text(2, name) + be32(3, flags) + kept + be32(10, number)
        return Nft.NEWSET, NLM_F_CREATE | NLM_F_EXCL, body, f"nft add set {in_table} {name} (copy of {self.name})"

    def filled(self, family: Family, in_table: str, name: str, chains: Mapping[str, str]) -> Iterator[Message]:
        """The messages that put the elements in."""
        for several in self.elements:
            if not several:
                continue
            if self.is_verdicts:
                several = b"".join(nested(1, _element_renamed(one, chains)) for _, one in attributes(several))
            body = header(family) + text(1, in_table) + text(2, name) + nested(3, several)
            yield Nft.NEWSETELEM, NLM_F_CREATE, body, f"nft add element {in_table} {name} (copy of {self.name})"


def referred(rule: Rule) -> Iterator[tuple[str, str]]:
    """What a rule refers to by name: ("chain", …) or ("set", …)."""
    for name, data in rule.expressions:
        found = table(data)
        if name == "immediate":
            yield from (("chain", one) for one in _chain_of(found.get(2, b"")))
        elif name in ("lookup", "dynset"):
            yield "set", as_text(found.get(1, b""))


def rule_copy(
    family: Family, in_table: str, chain: str, rule: Rule, chains: Mapping[str, str], sets: Mapping[str, str]
) -> Message:
    """The message for the same rule in another table, at the end of `chain`. Raises CannotCopy."""
    parts = [part for name, data in rule.expressions for part in _expression(family, name, data, chains, sets)]
    protocol, inverted = _protocol(rule)
    body = header(family) + text(1, in_table) + text(2, chain) + nested(4, *parts)
    if any(name in ("match", "target") for name, _ in rule.expressions):
        # Extensions of iptables ask for which protocol they stand.
        body += nested(5, be32(1, protocol), be32(2, _COMPAT_INVERTED if inverted else 0))
    return (
        Nft.NEWRULE,
        NLM_F_CREATE | NLM_F_APPEND,
        body,
        f"nft add rule {in_table} {chain} (copy of {rule.table} {rule.chain})",
    )


def may_refuse(rule: Rule) -> bool:
    """Whether a packet may be dropped by the rule itself; rather yes than no where its expressions are not known."""
    for name, data in rule.expressions:
        found = table(data)
        if name == "immediate":
            verdict = table(table(found.get(2, b"")).get(2, b""))
            if 1 in verdict and verdict[1] == bytes(4):
                return True
        elif name == "lookup":
            # Into register 0: a map of verdicts.
            if found.get(3) == bytes(4):
                return True
        elif name not in _CONDITIONS:
            return True
    return False


def fingerprint(rule: Rule) -> bytes:
    """What a rule says, without what merely counts in it."""
    return b"".join(
        name.encode() + b"\0" + data for name, data in rule.expressions if name not in ("counter", "last", "quota")
    )


def _expression(
    family: Family, name: str, data: bytes, chains: Mapping[str, str], sets: Mapping[str, str]
) -> Iterable[bytes]:
    if name in ("counter", "last"):
        return ()
    if name == "objref":
        kind = int.from_bytes(table(data).get(1, b""), "big")
        if kind not in _HARMLESS_OBJECTS:
            raise CannotCopy(f"an object of type {kind}")
        return ()
    if name == "immediate":
        data = _renamed(data, 2, chains)
    elif name in ("lookup", "dynset"):
        data = _set_renamed(data, sets, number=4 if name == "lookup" else 2)
    elif name == "target" and as_text(table(data).get(1, b"")) == "REJECT":
        name, data = "reject", _iptables_reject(family, table(data))
    return (nested(1, text(1, name), nested(2, data)),)


def _chain_of(data: bytes) -> Iterator[str]:
    """The chain in NFTA_DATA_VERDICT, where there is one."""
    verdict = table(table(data).get(2, b""))
    if 2 in verdict:
        yield as_text(verdict[2])


def _renamed(data: bytes, holder: int, chains: Mapping[str, str]) -> bytes:
    """The same attributes with the chain in the verdict of `holder` renamed."""
    parts = []
    for kind, value in attributes(data):
        names = list(_chain_of(value)) if kind == holder else []
        if names:
            code = table(table(value)[2])[1]
            value = nested(2, attribute(1, code), text(2, chains[names[0]]))
        parts.append(attribute(kind, value))
    return b"".join(parts)


def _element_renamed(one: bytes, chains: Mapping[str, str]) -> bytes:
    return _renamed(one, 2, chains)


def _set_renamed(data: bytes, sets: Mapping[str, str], number: int) -> bytes:
    """A set by its new name alone: numbers are a batch's own."""
    parts = []
    for kind, value in attributes(data):
        if kind == 1:
            parts.append(text(1, sets[as_text(value)]))
        elif kind != number:
            parts.append(attribute(kind, value))
    return b"".join(parts)


def _iptables_reject(family: Family, found: dict[int, bytes]) -> bytes:
    how = int.from_bytes(found.get(3, b"")[:4], "little")
    code = _REJECT.get(family, {}).get(how)
    if code is None:
        raise CannotCopy(f"REJECT of kind {how}")
    return _reject_of(_REJECT_RESET, 0) if code < 0 else _reject_of(_REJECT_UNREACHABLE, code)


def _reject_of(kind: int, code: int) -> bytes:
    return be32(1, kind) + attribute(2, bytes((code,)))


def _protocol(rule: Rule) -> tuple[int, bool]:
    """The protocol that a rule of iptables is for, and whether it is for all others: 0 for any."""
    waiting = False
    for name, data in rule.expressions:
        found = table(data)
        if _is_load_of_protocol(name, found):
            waiting = True
        elif name == "cmp" and waiting:
            value = table(found.get(3, b"")).get(1, b"\0")
            return value[0], int.from_bytes(found.get(2, b""), "big") == _NEQ
    return 0, False


def _is_load_of_protocol(name: str, found: dict[int, bytes]) -> bool:
    """`meta l4proto`, or what older iptables say: the byte of the IPv4 header that has it."""
    if name == "meta":
        return int.from_bytes(found.get(2, b""), "big") == _NFT_META_L4PROTO
    place = tuple(int.from_bytes(found.get(kind, b""), "big") for kind in (2, 3, 4))
    return name == "payload" and place == (1, 9, 1)
