"""Sets and maps of nf_tables as the kernel holds them: what they are declared as, and their elements in order."""

from __future__ import annotations

import errno

from sampan.kernel.netlink import as_text, attributes, table, text
from sampan.kernel.nftables import Family, Nft, SetFlag, header

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from sampan.kernel.netlink import Netlink

_GENMSG_SIZE = 4
_INTERVAL_END = 1


class Set:
    """A declaration: `key` and `data` are type numbers (`nftables.Type`, joined), `data` 0 for a set."""

    __slots__ = ("data", "flags", "key", "name", "table")

    def __init__(self, body: bytes) -> None:
        found = table(body, _GENMSG_SIZE)

        def number(kind: int) -> int:
            return int.from_bytes(found.get(kind, b""), "big")

        self.table = as_text(found.get(1, b""))
        self.name = as_text(found.get(2, b""))
        self.flags = SetFlag(number(3))
        self.key = number(4)
        self.data = number(6) if self.flags & SetFlag.MAP else 0


class Element:
    """One element: a key and, in a map, what it leads to; of an interval the first key, or the one behind the last (`ends`)."""

    __slots__ = ("data", "ends", "key")

    def __init__(self, attribute: bytes) -> None:
        found = table(attribute)
        self.key = table(found.get(1, b"")).get(1, b"")
        self.data = table(found[2]).get(1, b"") if 2 in found else b""
        self.ends = bool(int.from_bytes(found.get(3, b""), "big") & _INTERVAL_END)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Element) and self._whole == other._whole

    def __hash__(self) -> int:
        return hash(self._whole)

    @property
    def _whole(self) -> tuple[bytes, bytes, bool]:
        return self.key, self.data, self.ends


def declared(netfilter: Netlink, family: Family, in_table: str) -> list[Set]:
    """The sets and maps of a table; none where it does not exist. Raises OSError."""
    body = header(family) + text(1, in_table)
    try:
        found = [Set(one) for _, one in netfilter.dump(Nft.GETSET, body, f"nft list sets {in_table}")]
    except OSError as error:
        if error.errno != errno.ENOENT:
            raise
        return []
    return [one for one in found if one.table == in_table]


def held(netfilter: Netlink, family: Family, in_table: str, name: str) -> list[Element]:
    """The elements of a set or map. Raises OSError."""
    body = header(family) + text(1, in_table) + text(2, name)
    answers = netfilter.dump(Nft.GETSETELEM, body, f"nft list set {in_table} {name}")
    return [one for _, part in answers for one in elements_in(part)]


def elements_in(body: bytes) -> Iterator[Element]:
    """The elements in one message, of the kernel's or for it."""
    for _, one in attributes(table(body, _GENMSG_SIZE).get(3, b"")):
        yield Element(one)
