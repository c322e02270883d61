"""The table of rules that one daemon owns, `ip sampan-<instance>`, and the published ports in it.

The rules never change: bridges, subnets and published ports are elements of sets and maps, so that publishing a port is
one small transaction whatever else runs, and a packet finds its container by one look-up. docs/networking.md draws the
table. IPv4; a table of family ip6 with the same chains is how IPv6 will come.

`raw` drops what must not be translated at all: loopback addresses that do not come from loopback (CVE-2020-8558, and
sources too, because `route_localnet` takes the kernel's own check away) and packets sent straight to a container
(moby#45610). `published` is only entered for addresses of the host itself (CVE-2025-67499).
What goes from one bridge to another is dropped, unless it was sent to a published port; from an internal network, always.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sampan.kernel import nftables as nft
from sampan.kernel import nftables_rules as say
from sampan.kernel.netlink import Netlink
from sampan.kernel.nftables import Family, Hook, Type, Verdict, concatenated
from sampan.kernel.nftables_rules import CtState, CtStatus, Meta

if TYPE_CHECKING:
    from sampan.kernel.netlink import Message

PROTOCOLS = {"tcp": socket.IPPROTO_TCP, "udp": socket.IPPROTO_UDP}

_ANY_ADDRESS = "0.0.0.0"
_FAMILY = Family.IPV4
_IFNAMSIZ = 16
# Hook priorities by name (netfilter_ipv4.h).
_RAW, _DSTNAT, _FILTER, _SRCNAT = -300, -100, 0, 100

_TARGET = (concatenated(Type.IPV4_ADDR, Type.INET_SERVICE), 8)
_BY_PORT = (concatenated(Type.INET_PROTO, Type.INET_SERVICE), 8)
_LINK = (concatenated(Type.IPV4_ADDR, Type.IPV4_ADDR, Type.INET_PROTO, Type.INET_SERVICE), 16)
_BY_ADDRESS = (concatenated(Type.INET_PROTO, Type.IPV4_ADDR, Type.INET_SERVICE), 12)


@dataclass(frozen=True, slots=True)
class Forward:
    """One published port: what arrives at `host_ip`:`host_port` goes to `address`:`port`. `protocol` is tcp or udp.

    Without an address it goes nowhere: the container has no way out at present, and keeps the port for when it has.
    """

    protocol: str
    host_ip: str
    host_port: int
    address: str
    port: int

    @property
    def is_anywhere(self) -> bool:
        """Published on every address of the host."""
        return self.host_ip == _ANY_ADDRESS


@dataclass(frozen=True, slots=True)
class Allowed:
    """Where containers do not reach each other (`icc` off): `source` may call `address`:`port` all the same."""

    protocol: str
    source: str
    address: str
    port: int


@dataclass(frozen=True, slots=True)
class Zone:
    """One network as the rules see it. `internal`: nothing of it goes out or comes in, but to and from the host itself."""

    bridge: str
    subnet: str
    icc: bool = True
    masquerade: bool = True
    internal: bool = False


class Firewall:
    """Keeps the table as the zones and the added ports say. Not for two threads at once; raises OSError."""

    def __init__(
        self,
        netfilter: Netlink,
        instance: str,
        zones: Iterable[Zone] = (),
        guard: bool = False,
        on_change: Callable[[], object] = lambda: None,
    ) -> None:
        """`on_change` is called by `verify` whenever others have changed rules, wherever they did.

        `guard`: forwarding was off before we came, so only bridges may make use of it. It holds from the next `install` on.
        """
        self._on_change = on_change
        self.table = f"sampan-{instance}"
        self._netfilter = netfilter
        self._zones = {zone.bridge: zone for zone in zones}
        self.guard = guard
        self._forwards: dict[Forward, None] = {}
        self._allowed: dict[Allowed, None] = {}
        self._rules = 0
        self._seen = -1
        """Generation of the kernel's rules at which the table was known to be right; -1 for never."""

    def install(self) -> None:
        """Make the table anew with every port in it, in one transaction: no packet sees it half made."""
        rules = list(_rules(self.table, self.guard))
        self._commit(
            [
                nft.table_message(_FAMILY, self.table),
                nft.delete_table_message(_FAMILY, self.table),
                nft.table_message(_FAMILY, self.table, "Sampan's networks; made again when removed"),
                *_sets(self.table),
                *_chains(self.table),
                *rules,
                *_members(self.table, self._zones.values()),
                *self._elements(self._forwards, remove=False),
                *self._links(self._allowed, remove=False),
            ]
        )
        self._rules = len(rules)
        self._seen = nft.generation(self._netfilter)

    def announce(self, zone: Zone) -> None:
        """Let a network in with the next `install`."""
        self._zones[zone.bridge] = zone

    def admit(self, zone: Zone) -> None:
        """Let a network in, or change what it was let in as."""
        present = self._zones.get(zone.bridge)
        if present is None:
            self.verify()
            self._commit(list(_members(self.table, [zone])))
        self._zones[zone.bridge] = zone
        if present not in (None, zone):
            self.install()

    def dismiss(self, bridge: str) -> None:
        """Take a network out; one that is not there is left alone."""
        zone = self._zones.pop(bridge, None)
        if zone is not None and not self.verify():
            self._commit(list(_members(self.table, [zone], remove=True)))

    def add(self, forwards: Iterable[Forward]) -> None:
        """Publish ports: all of them or none. The caller has made sure that none is taken."""
        wanted = [forward for forward in forwards if forward not in self._forwards]
        self.verify()
        self._change(wanted, remove=False)
        self._forwards.update(dict.fromkeys(wanted))

    def remove(self, forwards: Iterable[Forward]) -> None:
        """Take ports back; one that is not there is left alone."""
        gone = [forward for forward in forwards if forward in self._forwards]
        for forward in gone:
            del self._forwards[forward]
        if gone and not self.verify():
            self._change(gone, remove=True)

    def allow(self, allowed: Iterable[Allowed]) -> None:
        """Let linked containers through, where they do not reach each other anyhow."""
        wanted = [one for one in allowed if one not in self._allowed]
        if wanted:
            self.verify()
            self._commit(list(self._links(wanted, remove=False)))
            self._allowed.update(dict.fromkeys(wanted))

    def forbid(self, address: str, source: str = "") -> None:
        """Take back what was allowed from or to `address`; with `source` only from there."""
        gone = [one for one in self._allowed if address in (one.address, one.source) and source in ("", one.source)]
        for one in gone:
            del self._allowed[one]
        if gone and not self.verify():
            self._commit(list(self._links(gone, remove=True)))

    def verify(self) -> bool:
        """Put the table back where somebody flushed it; whether that was needed. One small question when nothing changed."""
        now = nft.generation(self._netfilter)
        if now == self._seen:
            return False
        whole = self._is_whole()
        if not whole:
            self.install()
        self._on_change()
        self._seen = nft.generation(self._netfilter)
        return not whole

    def inherit(self) -> tuple[Forward, ...]:
        """Take over the ports of a table that an earlier daemon left, so that `install` keeps them."""
        for name, with_address in (("ports_anywhere", False), ("ports", True)):
            try:
                found = nft.elements(self._netfilter, _FAMILY, self.table, name)
            except OSError as error:
                if error.errno != errno.ENOENT:
                    raise
                continue
            self._forwards.update(dict.fromkeys(_forward(key, data, with_address) for key, data in found.items()))
        return tuple(self._forwards)

    def uninstall(self) -> None:
        """Remove the table and all in it."""
        if nft.has_table(self._netfilter, _FAMILY, self.table):
            nft.commit(self._netfilter, [nft.delete_table_message(_FAMILY, self.table)])
        self._seen = -1

    def _is_whole(self) -> bool:
        """Whether rules, networks and ports are all there (a flush of the rule set, the table, a chain, a map shows)."""
        netfilter = self._netfilter
        if len(nft.rules(netfilter, _FAMILY, self.table)) != self._rules:
            return False
        if any(
            len(nft.elements(netfilter, _FAMILY, self.table, name)) != len(list(keys))
            for name, keys in _keys(self._zones.values())
        ):
            return False
        ports = len(nft.elements(netfilter, _FAMILY, self.table, "ports"))
        anywhere = len(nft.elements(netfilter, _FAMILY, self.table, "ports_anywhere"))
        if ports + anywhere != len(self._forwards):
            return False
        return len(nft.elements(netfilter, _FAMILY, self.table, "links")) == len(self._allowed)

    def _change(self, forwards: list[Forward], remove: bool) -> None:
        if forwards:
            self._commit(list(self._elements(forwards, remove)))

    def _elements(self, forwards: Iterable[Forward], remove: bool) -> Iterator[Message]:
        anywhere: list[bytes] = []
        exact: list[bytes] = []
        for forward in forwards:
            protocol = bytes((PROTOCOLS[forward.protocol], 0, 0, 0))
            port = forward.host_port.to_bytes(2, "big") + bytes(2)
            target = b"" if remove else socket.inet_aton(forward.address) + forward.port.to_bytes(2, "big") + bytes(2)
            if forward.is_anywhere:
                anywhere.append(nft.element(protocol + port, target))
            else:
                exact.append(nft.element(protocol + socket.inet_aton(forward.host_ip) + port, target))
        yield from nft.elements_messages(_FAMILY, self.table, "ports_anywhere", anywhere, remove)
        yield from nft.elements_messages(_FAMILY, self.table, "ports", exact, remove)

    def _links(self, allowed: Iterable[Allowed], remove: bool) -> Iterator[Message]:
        elements = [
            nft.element(
                socket.inet_aton(one.source)
                + socket.inet_aton(one.address)
                + bytes((PROTOCOLS[one.protocol], 0, 0, 0))
                + one.port.to_bytes(2, "big")
                + bytes(2)
            )
            for one in allowed
        ]
        yield from nft.elements_messages(_FAMILY, self.table, "links", elements, remove)

    def _commit(self, messages: list[Message]) -> None:
        nft.commit(self._netfilter, messages)
        if self._seen >= 0:
            # Ours moved the generation by one; if somebody else's did too, the next verify sees a difference and looks.
            self._seen = (self._seen + 1) & 0xFFFFFFFF


def _forward(key: bytes, target: bytes, with_address: bool) -> Forward:
    """An element of one of the maps, read back."""
    protocol = next(name for name, number in PROTOCOLS.items() if number == key[0])
    host_ip = socket.inet_ntoa(key[4:8]) if with_address else _ANY_ADDRESS
    port = key[8:10] if with_address else key[4:6]
    address = socket.inet_ntoa(target[:4])
    return Forward(protocol, host_ip, int.from_bytes(port, "big"), address, int.from_bytes(target[4:6], "big"))


def _sets(table: str) -> Iterator[Message]:
    ifname, ipv4 = (Type.IFNAME, _IFNAMSIZ), (Type.IPV4_ADDR, 4)
    both = (concatenated(Type.IFNAME, Type.IFNAME), 2 * _IFNAMSIZ)
    yield nft.set_message(_FAMILY, table, "bridges", 1, ifname)
    yield nft.set_message(_FAMILY, table, "subnets", 2, ipv4, intervals=True)
    yield nft.set_message(_FAMILY, table, "ports_anywhere", 3, _BY_PORT, _TARGET)
    yield nft.set_message(_FAMILY, table, "ports", 4, _BY_ADDRESS, _TARGET)
    yield nft.set_message(_FAMILY, table, "masqueraded", 5, ipv4, intervals=True)
    yield nft.set_message(_FAMILY, table, "internal", 6, ifname)
    yield nft.set_message(_FAMILY, table, "within", 7, both)
    yield nft.set_message(_FAMILY, table, "neighbours", 8, both)
    yield nft.set_message(_FAMILY, table, "cells", 9, ifname)
    yield nft.set_message(_FAMILY, table, "links", 10, _LINK)


def _keys(zones: Iterable[Zone]) -> Iterator[tuple[str, Iterable[bytes]]]:
    """What the zones put into the sets of single keys."""
    known = [(zone, zone.bridge.encode().ljust(_IFNAMSIZ, b"\0")) for zone in zones]
    yield "bridges", [name for _, name in known]
    yield "internal", [name for zone, name in known if zone.internal]
    yield "within", [name + name for _, name in known]
    yield "cells", [name for zone, name in known if not zone.icc]
    yield "neighbours", [name + name for zone, name in known if zone.icc]


def _members(table: str, zones: Iterable[Zone], remove: bool = False) -> Iterator[Message]:
    wanted = list(zones)
    for name, keys in _keys(wanted):
        yield from nft.elements_messages(_FAMILY, table, name, [nft.element(key) for key in keys], remove)
    yield from _intervals(table, "subnets", wanted, remove)
    yield from _intervals(table, "masqueraded", [zone for zone in wanted if zone.masquerade], remove)


def _intervals(table: str, name: str, zones: Sequence[Zone], remove: bool) -> Iterator[Message]:
    for zone in zones:
        address, _, prefix = zone.subnet.partition("/")
        yield from nft.elements_messages(_FAMILY, table, name, nft.ipv4_element(address, int(prefix)), remove)


def _chains(table: str) -> Iterator[Message]:
    yield nft.chain_message(_FAMILY, table, "published")
    yield nft.chain_message(_FAMILY, table, "to_containers")
    for name, kind, hook, priority in (
        ("raw", "filter", Hook.PREROUTING, _RAW),
        ("prerouting", "nat", Hook.PREROUTING, _DSTNAT),
        ("output", "nat", Hook.OUTPUT, _DSTNAT),
        ("forward", "filter", Hook.FORWARD, _FILTER),
        ("postrouting", "nat", Hook.POSTROUTING, _SRCNAT),
        ("local", "filter", Hook.OUTPUT, _FILTER),
    ):
        yield nft.base_chain_message(_FAMILY, table, name, kind, hook, priority)


def _rules(table: str, guard: bool) -> Iterator[Message]:
    def rule(chain: str, *expressions: bytes, words: str = "") -> Message:
        return nft.rule_message(_FAMILY, table, chain, expressions, words)

    drop, accept = say.verdict(Verdict.DROP), say.verdict(Verdict.ACCEPT)
    from_outside = say.interface(Meta.IIFNAME, "lo", equal=False)
    not_from_bridge = say.interface_in(Meta.IIFNAME, "bridges", inside=False)
    to_bridge, not_to_bridge = (say.interface_in(Meta.OIFNAME, "bridges", inside) for inside in (True, False))

    yield rule("raw", from_outside, say.destination_loopback(), drop, words="loopback is the host's own")
    yield rule("raw", from_outside, say.source_loopback(), drop, words="and so are its addresses as a source")
    yield rule(
        "raw", from_outside, not_from_bridge, say.destination_in("subnets"), say.destination_local(local=False), drop,
        words="containers are reached by their published ports",
    )  # fmt: skip

    to_published = (say.destination_local(), say.verdict(Verdict.JUMP, "published"))
    yield rule("prerouting", *to_published)
    yield rule("output", *to_published)
    yield rule("published", say.destination_nat("ports", with_address=True))
    yield rule("published", say.destination_nat("ports_anywhere", with_address=False))

    yield rule(
        "forward", say.interface_in(Meta.IIFNAME, "internal"), say.interfaces_in("within", inside=False), drop,
        words="internal networks have no way out",
    )  # fmt: skip
    yield rule("forward", to_bridge, say.verdict(Verdict.JUMP, "to_containers"))
    if guard:
        yield rule(
            "forward", say.kind(Meta.IIFKIND, "bridge", equal=False), say.kind(Meta.OIFKIND, "bridge", equal=False), drop,
            words="Sampan switched forwarding on: for bridges only",
        )  # fmt: skip
    yield rule("to_containers", say.connection_state(CtState.ESTABLISHED | CtState.RELATED), accept)
    yield rule("to_containers", say.connection_status(CtStatus.DST_NAT), accept, words="published")
    yield rule("to_containers", say.interfaces_in("neighbours"), accept, words="icc")
    yield rule("to_containers", say.interfaces_in("within"), say.linked_in("links"), accept, words="linked")
    # Two isolated ports reach each other by way of the host alone: it shall not tell them of a shorter one.
    yield rule("local", say.interface_in(Meta.OIFNAME, "cells"), say.icmp_redirect(), drop)
    yield rule("to_containers", drop)

    yield rule("postrouting", to_bridge, say.source_loopback(), say.masquerade(), words="from the host's loopback")
    yield rule(
        "postrouting", to_bridge, say.source_in("subnets"), say.connection_status(CtStatus.DST_NAT), say.masquerade(),
        words="a container at a published port",
    )  # fmt: skip
    yield rule("postrouting", not_to_bridge, say.source_in("masqueraded"), say.masquerade(), words="to the outside")
