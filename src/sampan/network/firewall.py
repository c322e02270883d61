"""The tables of rules that one daemon owns, `ip sampan-<instance>` and `ip6 sampan-<instance>`, and the published ports in them.

Both have the same chains and sets (`rules`), and are changed in one transaction. The proxied part of what is published on IPv6
(`Forward.is_proxied`) is not here: no rule can do it.
"""

from __future__ import annotations

import errno
import ipaddress
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from sampan.kernel import nftables as nft
from sampan.kernel.netlink import Netlink
from sampan.kernel.nftables import Family
from sampan.network.policy import ANY, ANY6, Allowed, Forward, Zone
from sampan.network.port_elements import element_of, forward_of, has_rule, packed, port_bytes, protocol_bytes
from sampan.network.rules import Table

if TYPE_CHECKING:
    from sampan.kernel.netlink import Message
    from sampan.network.firewall_mark import FirewallMark
    from sampan.network.judgement import Judgement

_PORT_SETS = ("ports_anywhere", "ports", "opened")


class Firewall:
    """Keeps the tables as the zones and the added ports say. Not for two threads at once; raises OSError."""

    def __init__(
        self,
        netfilter: Netlink,
        instance: str,
        zones: Iterable[Zone] = (),
        guard: bool = False,
        on_change: Callable[[], object] = lambda: None,
        guard6: bool = False,
        ipv6: bool = True,
        judgement: Judgement | None = None,
        accepted: FirewallMark | None = None,
    ) -> None:
        """`on_change` is called by `verify` whenever others have changed rules, wherever they did.

        `guard`: forwarding was off before we came, so only bridges may make use of it; `guard6` is IPv6's. They hold from the
        next `install` on. Without `ipv6` there is no table for it. `accepted` as in `Table`.
        """
        self._on_change = on_change
        self.table = f"sampan-{instance}"
        families = (Family.IPV4, Family.IPV6) if ipv6 else (Family.IPV4,)
        self.tables = [Table(family, self.table, accepted) for family in families]
        self._netfilter = netfilter
        self._zones = {zone.bridge: zone for zone in zones}
        self._judgement = judgement
        self.guards = {4: guard, 6: guard6}
        self._forwards: dict[Forward, None] = {}
        self._allowed: dict[Allowed, None] = {}
        self._rules: dict[Family, int] = {}
        self._seen = -1
        """Generation of the kernel's rules at which the tables were known to be right; -1 for never."""

    def install(self) -> None:
        """Make the tables anew with every port in them, in one transaction: no packet sees them half made."""
        for table in self.tables:
            self._rules[table.family] = len(list(table.rules(self.guards[table.version])))
        self.heed()
        self._commit(self.plan())
        self._seen = nft.generation(self._netfilter)

    def plan(self) -> list[Message]:
        """What makes the tables as they should be at present."""
        messages: list[Message] = []
        for table in self.tables:
            messages += table.made(self.guards[table.version])
            messages += table.members(self._zones.values())
        messages += self._elements(self._entries(self._forwards), remove=False)
        messages += self._links(self._allowed, remove=False)
        return messages

    def heed(self) -> None:
        """See to it that the host's own firewall, as it is now, judges what is published."""
        if self._judgement is not None:
            self._judgement.reconcile(self._zones, self._forwards)

    def announce(self, zone: Zone) -> None:
        """Let a network in with the next `install`."""
        self._zones[zone.bridge] = zone

    def admit(self, zone: Zone) -> None:
        """Let a network in, or change what it was let in as."""
        present = self._zones.get(zone.bridge)
        if present is None:
            self.verify()
            self._commit(list(self._members(zone)))
        self._zones[zone.bridge] = zone
        if present not in (None, zone):
            self.install()

    def dismiss(self, bridge: str) -> None:
        """Take a network out; one that is not there is left alone."""
        zone = self._zones.pop(bridge, None)
        if zone is not None and not self.verify():
            self._commit(list(self._members(zone, remove=True)))

    def add(self, forwards: Iterable[Forward]) -> None:
        """Publish ports: all of them or none. The caller has made sure that none is taken."""
        wanted = [forward for forward in forwards if forward not in self._forwards and has_rule(forward)]
        self.verify()
        self._change(self._entries(wanted, self._forwards), remove=False, judged=wanted)
        self._forwards.update(dict.fromkeys(wanted))

    def lead(self, forwards: Iterable[Forward]) -> None:
        """Publish ports wherever they led before: of an earlier daemon that died over a change, the record holds."""
        wanted = dict.fromkeys(forwards)
        ports = {(one.protocol, one.host_ip, one.host_port) for one in wanted if one.host_port}
        self.remove(
            [one for one in self._forwards if one not in wanted and (one.protocol, one.host_ip, one.host_port) in ports]
        )
        self.add(wanted)

    def remove(self, forwards: Iterable[Forward]) -> None:
        """Take ports back; one that is not there is left alone."""
        gone = [forward for forward in forwards if forward in self._forwards]
        for forward in gone:
            del self._forwards[forward]
        if gone and not self.verify():
            self._change(self._entries(gone, self._forwards), remove=True, judged=gone)

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
        """Put the tables back where somebody flushed them; whether that was needed. One small question when nothing changed."""
        now = nft.generation(self._netfilter)
        if now == self._seen:
            return False
        whole = all(self._is_whole(table) for table in self.tables)
        if not whole:
            self.install()
        self._on_change()
        self._seen = nft.generation(self._netfilter)
        return not whole

    def inherit(self) -> tuple[Forward, ...]:
        """Take over the ports of tables that an earlier daemon left, so that `install` keeps them."""
        for table in self.tables:
            for name in _PORT_SETS:
                try:
                    found = nft.elements(self._netfilter, table.family, self.table, name)
                except OSError as error:
                    if error.errno != errno.ENOENT:
                        raise
                    continue
                self._forwards.update(
                    dict.fromkeys(forward_of(table.version, name, key, data) for key, data in found.items())
                )
        return tuple(self._forwards)

    def uninstall(self) -> None:
        """Remove the tables and all in them."""
        if self._judgement is not None:
            self._judgement.remove()
        for table in self.tables:
            if nft.has_table(self._netfilter, table.family, self.table):
                nft.commit(self._netfilter, [nft.delete_table_message(table.family, self.table)])
        self._seen = -1

    def _is_whole(self, table: Table) -> bool:
        """Whether rules, networks and ports are all there (a flush of the rule set, the table, a chain, a map shows)."""

        def count(name: str) -> int:
            return len(nft.elements(self._netfilter, table.family, self.table, name))

        if len(nft.rules(self._netfilter, table.family, self.table)) != self._rules.get(table.family):
            return False
        if any(count(name) != len(keys) for name, keys in table.keys(self._zones.values())):
            return False
        ports = sum(forward.is_ipv6 == (table.version == 6) for forward in self._entries(self._forwards))
        links = sum((":" in one.address) == (table.version == 6) for one in self._allowed)
        return sum(count(name) for name in _PORT_SETS) == ports and count("links") == links

    def _entries(self, changed: Iterable[Forward], present: Iterable[Forward] = ()) -> list[Forward]:
        """What stands in sets for these ports: each that is translated, and the containers' own that are open.

        These are there once for however many lead there; what a port that is `present` opens as well is left out.
        """
        wanted = list(changed)
        doors = self._doors(wanted)
        if doors:
            kept = self._doors(present)
            doors = [door for door in doors if door not in kept]
        return [*(forward for forward in wanted if forward.host_port), *doors]

    def _doors(self, forwards: Iterable[Forward]) -> list[Forward]:
        """The containers' own ports that are open to callers who know a route: of gateway mode routed, and of direct routing."""
        reached = [
            ipaddress.ip_network(zone.subnet if version == 4 else zone.subnet6)
            for version in (4, 6)
            for zone in self._zones.values()
            if zone.opens(version)
        ]
        found: dict[Forward, None] = {}
        for forward in forwards:
            if not forward.host_port:
                found[forward] = None
            elif reached and any(ipaddress.ip_address(forward.address) in subnet for subnet in reached):
                found[replace(forward, host_ip=ANY6 if forward.is_ipv6 else ANY, host_port=0)] = None
        return list(found)

    def _members(self, zone: Zone, remove: bool = False) -> Iterator[Message]:
        for table in self.tables:
            yield from table.members([zone], remove)

    def _change(self, forwards: list[Forward], remove: bool, judged: list[Forward]) -> None:
        messages = list(self._elements(forwards, remove))
        if self._judgement is not None:
            messages += self._judgement.additions(judged, remove)
        if messages:
            self._commit(messages)

    def _elements(self, forwards: Iterable[Forward], remove: bool) -> Iterator[Message]:
        wanted = list(forwards)
        for table in self.tables:
            found: dict[str, list[bytes]] = {name: [] for name in _PORT_SETS}
            for forward in wanted:
                if forward.is_ipv6 == (table.version == 6):
                    name, key, data = element_of(forward)
                    found[name].append(nft.element(key, b"" if remove else data))
            for name, elements in found.items():
                yield from table.elements(name, elements, remove)

    def _links(self, allowed: Iterable[Allowed], remove: bool) -> Iterator[Message]:
        wanted = list(allowed)
        for table in self.tables:
            mine = [one for one in wanted if (":" in one.address) == (table.version == 6)]
            elements = [
                nft.element(
                    packed(one.source) + packed(one.address) + protocol_bytes(one.protocol) + port_bytes(one.port)
                )
                for one in mine
            ]
            yield from table.elements("links", elements, remove)

    def _commit(self, messages: Sequence[Message]) -> None:
        nft.commit(self._netfilter, messages)
        if self._seen >= 0:
            # Ours moved the generation by one; if somebody else's did too, the next verify sees a difference and looks.
            self._seen = (self._seen + 1) & 0xFFFFFFFF
