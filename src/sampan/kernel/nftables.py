"""nf_tables over netlink: tables, chains, rules, sets and maps, and transactions (uapi/linux/netfilter/nf_tables.h).

The functions that end in `…_message` build one change; `commit` applies a list of changes or none of them. What a rule is
made of is in `nftables_rules`. Standard library only.
"""

from __future__ import annotations

import enum
import errno
import struct

from sampan.kernel.netlink import (
    NLM_F_APPEND,
    NLM_F_CREATE,
    NLM_F_EXCL,
    Netlink,
    as_text,
    attribute,
    attributes,
    be32,
    be64,
    nested,
    table,
    text,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sampan.kernel.netlink import Message

NFNLGRP_NFTABLES = 7
"""The multicast group that hears every committed change."""

_SUBSYSTEM = 10
_BATCH_BEGIN = 16
_BATCH_END = 17


class Nft(enum.IntEnum):
    """NFT_MSG_*, with the subsystem's number in the high byte."""

    NEWTABLE = _SUBSYSTEM << 8 | 0
    GETTABLE = _SUBSYSTEM << 8 | 1
    DELTABLE = _SUBSYSTEM << 8 | 2
    NEWCHAIN = _SUBSYSTEM << 8 | 3
    GETCHAIN = _SUBSYSTEM << 8 | 4
    NEWRULE = _SUBSYSTEM << 8 | 6
    GETRULE = _SUBSYSTEM << 8 | 7
    DELRULE = _SUBSYSTEM << 8 | 8
    NEWSET = _SUBSYSTEM << 8 | 9
    GETSET = _SUBSYSTEM << 8 | 10
    NEWSETELEM = _SUBSYSTEM << 8 | 12
    GETSETELEM = _SUBSYSTEM << 8 | 13
    DELSETELEM = _SUBSYSTEM << 8 | 14
    GETGEN = _SUBSYSTEM << 8 | 16


class Family(enum.IntEnum):
    """NFPROTO_*: what packets a table sees."""

    UNSPEC = 0
    INET = 1
    IPV4 = 2
    BRIDGE = 7
    IPV6 = 10

    @property
    def word(self) -> str:
        """As it stands in front of a table's name."""
        return {Family.IPV4: "ip", Family.IPV6: "ip6"}.get(self, self.name.lower())


class Hook(enum.IntEnum):
    """NF_INET_*: where on a packet's way a base chain stands."""

    PREROUTING = 0
    INPUT = 1
    FORWARD = 2
    OUTPUT = 3
    POSTROUTING = 4


class Verdict(enum.IntEnum):
    """What a rule or a base chain's policy decides."""

    DROP = 0
    ACCEPT = 1
    JUMP = -3
    GOTO = -4
    RETURN = -5


class SetFlag(enum.IntFlag):
    """NFT_SET_*."""

    INTERVAL = 0x04
    MAP = 0x08


class Type(enum.IntEnum):
    """The numbers by which the `nft` command knows data types; the kernel only keeps them."""

    IPV4_ADDR = 7
    IPV6_ADDR = 8
    INET_PROTO = 12
    INET_SERVICE = 13
    IFNAME = 41


def concatenated(*types: Type) -> int:
    """The number of a concatenation (`ipv4_addr . inet_service`)."""
    number = 0
    for kind in types:
        number = number << 6 | kind
    return number


_GENMSG = struct.Struct(">BBH")
_NFTA_DATA_VALUE = 1
_NFTA_LIST_ELEM = 1
_NFT_SET_ELEM_INTERVAL_END = 1
_UDATA_COMMENT = 0
# For the `nft` command only: the keys are in the machine's order (libnftnl, NFTNL_UDATA_SET_KEYBYTEORDER).
_HOST_ORDER = b"\0\4\1\0\0\0"
# One attribute holds at most 64 KiB and an element takes about 60 bytes.
_ELEMENTS_EACH = 500


def header(family: int, resource: int = 0) -> bytes:
    """struct nfgenmsg."""
    return _GENMSG.pack(family, 0, resource)


def commit(netfilter: Netlink, messages: Sequence[Message]) -> None:
    """Apply all of `messages` at once, or none: OSError then names the first that was refused."""
    begin = (_BATCH_BEGIN, 0, header(Family.UNSPEC, _SUBSYSTEM), "nft batch")
    end = (_BATCH_END, 0, header(Family.UNSPEC, _SUBSYSTEM), "nft batch end")
    netfilter.transact(begin, messages, end)


def comment(words: str) -> bytes:
    """User data that `nft list` and `iptables -S` show as a comment; at most 120 bytes of it are kept."""
    value = words.encode()[:120] + b"\0"
    return bytes((_UDATA_COMMENT, len(value))) + value


def comment_of(user_data: bytes) -> str:
    """The comment in a rule's user data; empty where there is none."""
    offset = 0
    while offset + 2 <= len(user_data):
        kind, size = user_data[offset], user_data[offset + 1]
        if kind == _UDATA_COMMENT:
            return as_text(user_data[offset + 2 : offset + 2 + size])
        offset += 2 + size
    return ""


def table_message(family: Family, name: str, words: str = "") -> Message:
    """Make a table; that it exists already is no error."""
    body = header(family) + text(1, name) + (attribute(6, comment(words)) if words else b"")
    return Nft.NEWTABLE, NLM_F_CREATE, body, f"nft add table {family.name} {name}"


def delete_table_message(family: Family, name: str) -> Message:
    """Remove a table and all it holds. ENOENT where there is none."""
    return Nft.DELTABLE, 0, header(family) + text(1, name), f"nft delete table {family.name} {name}"


def chain_message(family: Family, in_table: str, name: str) -> Message:
    """Make a chain that others jump to."""
    body = header(family) + text(1, in_table) + text(3, name)
    return Nft.NEWCHAIN, NLM_F_CREATE, body, f"nft add chain {in_table} {name}"


def base_chain_message(family: Family, in_table: str, name: str, kind: str, hook: Hook, priority: int) -> Message:
    """Make a chain of `kind` filter or nat on a hook, accepting what no rule of it decides."""
    body = (
        header(family)
        + text(1, in_table)
        + text(3, name)
        + nested(4, be32(1, hook), be32(2, priority & 0xFFFFFFFF))
        + be32(5, Verdict.ACCEPT)
        + text(7, kind)
    )
    return Nft.NEWCHAIN, NLM_F_CREATE, body, f"nft add chain {in_table} {name} type {kind} hook {hook.name}"


def rule_message(
    family: Family,
    in_table: str,
    chain: str,
    expressions: Iterable[bytes],
    words: str = "",
    before: int = 0,
    first: bool = False,
) -> Message:
    """Make a rule: the chain's last, its `first`, or the one before the rule with the handle `before`."""
    body = header(family) + text(1, in_table) + text(2, chain) + nested(4, *expressions)
    if before:
        body += be64(6, before)
    if words:
        body += attribute(7, comment(words))
    flags = NLM_F_CREATE if before or first else NLM_F_CREATE | NLM_F_APPEND
    return Nft.NEWRULE, flags, body, f"nft add rule {in_table} {chain} ({words})"


def delete_rule_message(family: Family, in_table: str, chain: str, handle: int) -> Message:
    """Remove one rule."""
    body = header(family) + text(1, in_table) + text(2, chain) + be64(3, handle)
    return Nft.DELRULE, 0, body, f"nft delete rule {in_table} {chain} handle {handle}"


def set_message(
    family: Family,
    in_table: str,
    name: str,
    number: int,
    key: tuple[int, int],
    data: tuple[int, int] | None = None,
    intervals: bool = False,
) -> Message:
    """Make a set, or with `data` a map. `key` and `data` are (type number, length in bytes); `number` names it in this batch."""
    flags = (SetFlag.INTERVAL if intervals else SetFlag(0)) | (SetFlag.MAP if data else SetFlag(0))
    body = (
        header(family)
        + text(1, in_table)
        + text(2, name)
        + be32(3, flags)
        + be32(4, key[0])
        + be32(5, key[1])
        + (be32(6, data[0]) + be32(7, data[1]) if data else b"")
        + be32(10, number)
    )
    if key[0] == Type.IFNAME:
        body += attribute(13, _HOST_ORDER)
    return Nft.NEWSET, NLM_F_CREATE | NLM_F_EXCL, body, f"nft add set {in_table} {name}"


def data_value(kind: int, value: bytes) -> bytes:
    """NFTA_DATA_VALUE inside the attribute `kind`."""
    return nested(kind, attribute(_NFTA_DATA_VALUE, value))


def element(key: bytes, data: bytes = b"", interval_end: bool = False) -> bytes:
    """One element for `elements_messages`; an interval is its first key, and the key behind its last as `interval_end`."""
    parts = data_value(1, key)
    if data:
        parts += data_value(2, data)
    if interval_end:
        parts += be32(3, _NFT_SET_ELEM_INTERVAL_END)
    return nested(_NFTA_LIST_ELEM, parts)


def elements_messages(
    family: Family, in_table: str, name: str, elements: Sequence[bytes], remove: bool = False
) -> Iterator[Message]:
    """Add elements to a set or map, or remove them. EEXIST for another value under a key, ENOENT for removing none."""
    kind, flags, verb = (Nft.DELSETELEM, 0, "delete") if remove else (Nft.NEWSETELEM, NLM_F_CREATE, "add")
    for start in range(0, len(elements), _ELEMENTS_EACH):
        part = elements[start : start + _ELEMENTS_EACH]
        body = header(family) + text(1, in_table) + text(2, name) + nested(3, *part)
        yield kind, flags, body, f"nft {verb} element {in_table} {name} ({len(part)})"


class Chain:
    """A chain as the kernel has it; `hook` is -1 and `policy` None for one that is only jumped to."""

    __slots__ = ("family", "hook", "kind", "name", "policy", "priority", "table")

    def __init__(self, body: bytes) -> None:
        found = table(body, _GENMSG.size)
        where = table(found.get(4, b""))
        self.family = body[0]
        self.table = as_text(found.get(1, b""))
        self.name = as_text(found.get(3, b""))
        self.kind = as_text(found.get(7, b""))
        self.hook = int.from_bytes(where[1], "big") if 1 in where else -1
        self.priority = int.from_bytes(where.get(2, b""), "big", signed=True)
        self.policy = int.from_bytes(found[5], "big") if 5 in found else None


class Rule:
    """A rule as the kernel has it: `expressions` are (name, data) in order."""

    __slots__ = ("chain", "comment", "expressions", "handle", "table")

    def __init__(self, body: bytes) -> None:
        found = table(body, _GENMSG.size)
        self.table = as_text(found.get(1, b""))
        self.chain = as_text(found.get(2, b""))
        self.handle = int.from_bytes(found.get(3, b""), "big")
        self.comment = comment_of(found.get(7, b""))
        self.expressions = [
            (as_text(parts.get(1, b"")), parts.get(2, b""))
            for _, one in attributes(found.get(4, b""))
            for parts in (table(one),)
        ]


def generation(netfilter: Netlink) -> int:
    """A number that every committed change of anything in this network namespace moves on (32 bits)."""
    _, body = netfilter.get(Nft.GETGEN, header(Family.UNSPEC), "nft generation")
    return int.from_bytes(table(body, _GENMSG.size)[1], "big")


def has_table(netfilter: Netlink, family: Family, name: str) -> bool:
    """Whether a table of that name is there."""
    try:
        netfilter.get(Nft.GETTABLE, header(family) + text(1, name), f"nft get table {name}")
    except OSError as error:
        if error.errno != errno.ENOENT:
            raise
        return False
    return True


def chains(netfilter: Netlink, family: Family = Family.UNSPEC) -> list[Chain]:
    """Every chain of a family, or of all."""
    return [Chain(body) for _, body in netfilter.dump(Nft.GETCHAIN, header(family), "nft list chains")]


def rules(netfilter: Netlink, family: Family, in_table: str, chain: str = "") -> list[Rule]:
    """The rules of a table, or of one chain of it; none where it does not exist."""
    body = header(family) + text(1, in_table) + (text(2, chain) if chain else b"")
    try:
        found = [Rule(body) for _, body in netfilter.dump(Nft.GETRULE, body, f"nft list {in_table} {chain}")]
    except OSError as error:
        if error.errno != errno.ENOENT:
            raise
        return []
    # Kernels before 4.17 do not filter.
    return [rule for rule in found if rule.table == in_table and chain in ("", rule.chain)]


def elements(netfilter: Netlink, family: Family, in_table: str, name: str) -> dict[bytes, bytes]:
    """The elements of a set or map: key to data (empty for a set)."""
    body = header(family) + text(1, in_table) + text(2, name)
    answer: dict[bytes, bytes] = {}
    for _, part in netfilter.dump(Nft.GETSETELEM, body, f"nft list set {in_table} {name}"):
        for _, one in attributes(table(part, _GENMSG.size).get(3, b"")):
            found = table(one)
            answer[table(found[1])[1]] = table(found[2]).get(1, b"") if 2 in found else b""
    return answer


def network_element(address: bytes, prefix: int, data: bytes = b"") -> list[bytes]:
    """The two elements of an interval set that stand for a network of either family; of a map with what it leads to."""
    bits = 8 * len(address)
    size = 1 << (bits - prefix)
    start = int.from_bytes(address, "big") & ~(size - 1)
    marks = [element(start.to_bytes(len(address), "big"), data)]
    if start + size < 1 << bits:
        marks.append(element((start + size).to_bytes(len(address), "big"), interval_end=True))
    return marks
