"""The table of one address family: its sets, chains and rules, and what networks put into the sets. As messages; applied elsewhere.

The rules never change: bridges, subnets and published ports are elements of sets and maps, so that publishing a port is
one small transaction whatever else runs, and a packet finds its container by one look-up. docs/networking.md draws the table.

`raw` drops what must not be translated at all: loopback addresses that do not come from loopback (CVE-2020-8558, and
sources too, because `route_localnet` takes the kernel's own check away) and packets sent straight to a container
(moby#45610). `published` is only entered for addresses of the host itself (CVE-2025-67499).
What goes from one bridge to another is dropped, unless it was sent to a published port; from an internal network, always.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sampan.kernel import nftables as nft
from sampan.kernel import nftables_rules as say
from sampan.kernel.nftables import Family, Hook, Type, Verdict, concatenated
from sampan.kernel.nftables_rules import CtState, CtStatus, Meta
from sampan.network.definition import GatewayMode
from sampan.network.firewall_mark import FirewallMark
from sampan.network.policy import Zone

if TYPE_CHECKING:
    from sampan.kernel.netlink import Message

_IFNAMSIZ = 16
# Hook priorities by name (netfilter_ipv4.h).
_RAW, _DSTNAT, _FILTER, _SRCNAT = -300, -100, 0, 100
_NAME = (Type.IFNAME, _IFNAMSIZ)
_NAMES = (concatenated(Type.IFNAME, Type.IFNAME), 2 * _IFNAMSIZ)
_PORT = (concatenated(Type.INET_PROTO, Type.INET_SERVICE), 8)


@dataclass(frozen=True, slots=True)
class Table:
    """The table of one family, `ip` or `ip6`, by its name."""

    family: Family
    name: str
    accepted: FirewallMark | None = None
    """what is marked so reaches containers at every port"""

    @property
    def version(self) -> int:
        """4 or 6."""
        return 4 if self.family == Family.IPV4 else 6

    def made(self, guard: bool) -> list[Message]:
        """The whole table anew, without an element. `guard` as in `Firewall`."""
        return [
            nft.table_message(self.family, self.name),
            nft.delete_table_message(self.family, self.name),
            nft.table_message(self.family, self.name, "Sampan's networks; made again when removed"),
            *self._sets(),
            *self._chains(),
            *self.rules(guard),
        ]

    def elements(self, name: str, elements: list[bytes], remove: bool = False) -> Iterator[Message]:
        """Put elements into one of its sets, or take them out."""
        return nft.elements_messages(self.family, self.name, name, elements, remove)

    def _sets(self) -> Iterator[Message]:
        length = 4 if self.version == 4 else 16
        kind = Type.IPV4_ADDR if self.version == 4 else Type.IPV6_ADDR
        address = (kind, length)
        target = (concatenated(kind, Type.INET_SERVICE), length + 4)
        by_address = (concatenated(Type.INET_PROTO, kind, Type.INET_SERVICE), length + 8)
        opened = (concatenated(kind, Type.INET_PROTO, Type.INET_SERVICE), length + 8)
        link = (concatenated(kind, kind, Type.INET_PROTO, Type.INET_SERVICE), 2 * length + 8)
        yield from (
            nft.set_message(self.family, self.name, "bridges", 1, _NAME),
            nft.set_message(self.family, self.name, "subnets", 2, address, intervals=True),
            nft.set_message(self.family, self.name, "ports_anywhere", 3, _PORT, target),
            nft.set_message(self.family, self.name, "ports", 4, by_address, target),
            nft.set_message(self.family, self.name, "masqueraded", 5, address, intervals=True),
            nft.set_message(self.family, self.name, "internal", 6, _NAME),
            nft.set_message(self.family, self.name, "within", 7, _NAMES),
            nft.set_message(self.family, self.name, "neighbours", 8, _NAMES),
            nft.set_message(self.family, self.name, "cells", 9, _NAME),
            nft.set_message(self.family, self.name, "links", 10, link),
            nft.set_message(self.family, self.name, "closed", 11, address, intervals=True),
            nft.set_message(self.family, self.name, "unprotected", 12, _NAME),
            nft.set_message(self.family, self.name, "routed", 13, _NAME),
            nft.set_message(self.family, self.name, "opened", 14, opened),
            nft.set_message(self.family, self.name, "selective", 15, _NAME),
            nft.set_message(self.family, self.name, "trusting", 16, _NAMES),
            nft.set_message(self.family, self.name, "sources", 17, address, address, intervals=True),
        )

    def keys(self, zones: Iterable[Zone]) -> Iterator[tuple[str, list[bytes]]]:
        """What networks put into the sets of single keys."""
        known = [(zone, zone.of(self.version), _name(zone.bridge)) for zone in zones]
        modes = [(found[2] if found is not None else None, name) for _, found, name in known]
        yield "bridges", [name for _, _, name in known]
        yield "internal", [name for zone, _, name in known if zone.internal]
        yield "within", [name + name for _, _, name in known]
        yield "cells", [name for zone, _, name in known if not zone.icc]
        yield "neighbours", [name + name for zone, _, name in known if zone.icc]
        yield "unprotected", [name for mode, name in modes if mode is GatewayMode.UNPROTECTED]
        yield "routed", [name for mode, name in modes if mode is GatewayMode.ROUTED]
        selective = [(zone, name) for zone, _, name in known if zone.is_selective and zone.opens(self.version)]
        yield "selective", [name for _, name in selective]
        yield "trusting", [_name(link) + name for zone, name in selective for link in zone.trusted]

    def members(self, zones: Iterable[Zone], remove: bool = False) -> Iterator[Message]:
        """All that networks put into sets."""
        wanted = list(zones)
        for name, keys in self.keys(wanted):
            yield from self.elements(name, [nft.element(key) for key in keys], remove)
        for zone in wanted:
            found = zone.of(self.version)
            if found is None:
                continue
            address, prefix, mode = found
            names = ["subnets"]
            # Where containers are seen outside by their own addresses, answers come back to these: what else comes is
            # dropped by `to_containers`. An internal network is closed as well, though nothing is forwarded to it anyhow.
            is_hidden = mode is GatewayMode.NAT and zone.masquerade and not zone.opens(self.version)
            names += ["closed"] if is_hidden or zone.internal else []
            names += ["masqueraded"] if zone.masquerade and mode is not GatewayMode.ROUTED else []
            for name in names:
                yield from self.elements(name, nft.network_element(address, prefix), remove)
            source = zone.source if self.version == 4 else zone.source6
            if source and "masqueraded" in names:
                data = b"" if remove else ipaddress.ip_address(source).packed
                yield from self.elements("sources", nft.network_element(address, prefix, data), remove)

    def _chains(self) -> Iterator[Message]:
        yield nft.chain_message(self.family, self.name, "published")
        yield nft.chain_message(self.family, self.name, "to_containers")
        for name, kind, hook, priority in (
            ("raw", "filter", Hook.PREROUTING, _RAW),
            ("prerouting", "nat", Hook.PREROUTING, _DSTNAT),
            ("output", "nat", Hook.OUTPUT, _DSTNAT),
            ("forward", "filter", Hook.FORWARD, _FILTER),
            ("postrouting", "nat", Hook.POSTROUTING, _SRCNAT),
            ("local", "filter", Hook.OUTPUT, _FILTER),
        ):
            yield nft.base_chain_message(self.family, self.name, name, kind, hook, priority)

    def rules(self, guard: bool) -> Iterator[Message]:
        """The rules, in order."""

        def rule(chain: str, *expressions: bytes, words: str = "") -> Message:
            return nft.rule_message(self.family, self.name, chain, expressions, words)

        yield from self._before_routing(rule)
        yield from self._forwarded(rule, guard)
        yield from self._after_routing(rule)

    def _before_routing(self, rule: Callable[..., Message]) -> Iterator[Message]:
        family, drop = self.family, say.verdict(Verdict.DROP)
        from_outside = say.interface(Meta.IIFNAME, "lo", equal=False)
        not_from_bridge = say.interface_in(Meta.IIFNAME, "bridges", inside=False)
        yield rule("raw", from_outside, say.destination_loopback(family), drop, words="loopback is the host's own")
        yield rule("raw", from_outside, say.source_loopback(family), drop, words="and so are its addresses as a source")
        yield rule(
            "raw", from_outside, not_from_bridge, say.destination_in(family, "closed"), say.destination_local(local=False),
            drop, words="containers are reached by their published ports",
        )  # fmt: skip
        to_published = (say.destination_local(), say.verdict(Verdict.JUMP, "published"))
        yield rule("prerouting", *to_published)
        yield rule("output", *to_published)
        if family == Family.IPV6:
            back = say.verdict(Verdict.RETURN)
            for caller in (say.source_link_local(), say.source_loopback(family)):
                yield rule("published", caller, back, words="whom no route leads back to is heard by the proxy")
        yield rule("published", say.destination_nat(family, "ports", with_address=True))
        yield rule("published", say.destination_nat(family, "ports_anywhere", with_address=False))

    def _forwarded(self, rule: Callable[..., Message], guard: bool) -> Iterator[Message]:
        family, drop, accept = self.family, say.verdict(Verdict.DROP), say.verdict(Verdict.ACCEPT)
        # First, because with br_netfilter each packet between neighbours comes here: one look-up, and it is through.
        yield rule("forward", say.interfaces_in("neighbours"), accept, words="icc")
        yield rule(
            "forward", say.interface_in(Meta.IIFNAME, "internal"), say.interfaces_in("within", inside=False), drop,
            words="internal networks have no way out",
        )  # fmt: skip
        yield rule(
            "forward", say.interface_in(Meta.OIFNAME, "internal"), say.interfaces_in("within", inside=False), drop,
            words="and no way in",
        )  # fmt: skip
        yield rule("forward", say.interface_in(Meta.OIFNAME, "bridges"), say.verdict(Verdict.JUMP, "to_containers"))
        if guard:
            yield rule(
                "forward", say.kind(Meta.IIFKIND, "bridge", equal=False), say.kind(Meta.OIFKIND, "bridge", equal=False),
                drop, words="Sampan switched forwarding on: for bridges only",
            )  # fmt: skip
        yield rule("to_containers", say.connection_state(CtState.ESTABLISHED | CtState.RELATED), accept)
        yield rule("to_containers", say.connection_status(CtStatus.DST_NAT), accept, words="published")
        if self.accepted is not None:
            yield rule(
                "to_containers",
                say.marked(self.accepted.value, self.accepted.mask),
                accept,
                words="bridge-accept-fwmark",
            )
        yield rule("to_containers", say.interfaces_in("within"), say.linked_in(family, "links"), accept, words="linked")
        # What follows is for callers from elsewhere: within a bridge without icc nothing more is open.
        yield rule("to_containers", say.interfaces_in("within"), drop)
        yield rule(
            "to_containers", say.interface_in(Meta.OIFNAME, "selective"), say.interfaces_in("trusting", inside=False), drop,
            words="reached directly by trusted interfaces alone",
        )  # fmt: skip
        yield rule("to_containers", say.opened_in(family, "opened"), accept, words="published, and routed to")
        yield rule("to_containers", say.interface_in(Meta.OIFNAME, "routed"), say.icmp(family), accept)
        yield rule(
            "to_containers", say.interface_in(Meta.IIFNAME, "bridges", inside=False),
            say.interface_in(Meta.OIFNAME, "unprotected"), accept, words="nat-unprotected",
        )  # fmt: skip
        yield rule("to_containers", drop)
        # Two isolated ports reach each other by way of the host alone: it shall not tell them of a shorter one.
        yield rule("local", say.interface_in(Meta.OIFNAME, "cells"), say.icmp_redirect(family), drop)

    def _after_routing(self, rule: Callable[..., Message]) -> Iterator[Message]:
        family = self.family
        to_bridge, not_to_bridge = (say.interface_in(Meta.OIFNAME, "bridges", inside) for inside in (True, False))
        if family == Family.IPV4:
            yield rule("postrouting", to_bridge, say.source_loopback(family), say.masquerade(), words="from loopback")
        yield rule(
            "postrouting", to_bridge, say.source_in(family, "subnets"), say.connection_status(CtStatus.DST_NAT),
            say.masquerade(), words="a container at a published port",
        )  # fmt: skip
        yield rule(
            "postrouting", not_to_bridge, say.source_nat(family, "sources"), words="by an address of the user's choice"
        )
        yield rule(
            "postrouting", not_to_bridge, say.source_in(family, "masqueraded"), say.masquerade(), words="to the outside"
        )


def _name(link: str) -> bytes:
    return link.encode().ljust(_IFNAMSIZ, b"\0")
