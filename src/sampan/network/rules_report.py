"""`network inspect --rules`: what concerns one network, as the kernel holds it, in nft syntax with containers' names.

The text is made from the kernel's answer, not from the plan; the plan is made as well, and whatever differs is told first.
`nft -c -f` accepts it. Read only: the daemon's own watch puts back what is missing (`Firewall.verify`).
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sampan.kernel import nftables as nft
from sampan.kernel import nftables_sets as sets
from sampan.kernel.nftables import Chain, Family, Nft, Rule, SetFlag
from sampan.kernel.nftables_sets import Element, Set
from sampan.network import rules_text
from sampan.network.rules_text import Unreadable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from sampan.kernel.netlink import Message, Netlink
    from sampan.network.ground import Ground
    from sampan.network.passage import Passage
    from sampan.network.policy import Zone

_PORTS = ("ports_anywhere", "ports", "opened")


@dataclass(frozen=True, slots=True)
class Report:
    """`drift` are the differences between the plan and the kernel, a sentence each."""

    text: str
    drift: tuple[str, ...]


@dataclass(slots=True)
class Held:
    """One table: the kernel's, or the plan's."""

    sets: dict[str, Set] = field(default_factory=dict)
    elements: dict[str, list[Element]] = field(default_factory=dict)
    chains: dict[str, Chain] = field(default_factory=dict)
    rules: dict[str, list[Rule]] = field(default_factory=dict)


def report(ground: Ground, zone: Zone | None, network: str, names: Mapping[str, str]) -> Report:
    """`names` are containers' names by their addresses; without a zone no rule concerns the network. Raises OSError."""
    head = [f"# The network {_plain(network)}, as the kernel holds it."]
    if zone is None:
        return Report("\n".join([*head, "# No rule concerns it: it is no bridge of Sampan's.", ""]), ())
    drift: list[str] = []
    body: list[str] = []
    plan = ground.firewall.plan()
    for table in ground.firewall.tables:
        found, wanted = _kernel(ground.netfilter, table.family, table.name), _planned(plan, table.family)
        drift += _differences(table.family, table.name, found, wanted)
        if found.chains:
            body += _table(table.family, table.name, found, _Concern(zone, _plain(network), names))
    body += _lines_of_others(ground.passage, zone)
    said = [f"# DIFFERS FROM THE PLAN: {one}" for one in drift] or ["# Nothing in it differs from the plan."]
    judges = [
        f"# New connections from outside to its published ports are judged by a copy of: {_plain(one)}"
        for one in ground.judgement.described()
    ]
    return Report("\n".join([*head, *said, *judges, *body, ""]), tuple(drift))


def _kernel(netfilter: Netlink, family: Family, name: str) -> Held:
    held = Held()
    held.sets = {one.name: one for one in sets.declared(netfilter, family, name)}
    held.elements = {one: sets.held(netfilter, family, name, one) for one in held.sets}
    held.chains = {one.name: one for one in nft.chains(netfilter, family) if one.table == name}
    for rule in nft.rules(netfilter, family, name):
        held.rules.setdefault(rule.chain, []).append(rule)
    return held


def _planned(plan: Iterable[Message], family: Family) -> Held:
    """The same from the messages that would make the table anew."""
    held = Held()
    for kind, _, body, _ in plan:
        if body[0] != family:
            continue
        if kind == Nft.NEWSET:
            declared = Set(body)
            held.sets[declared.name] = declared
        elif kind == Nft.NEWCHAIN:
            chain = Chain(body)
            held.chains[chain.name] = chain
        elif kind == Nft.NEWRULE:
            rule = Rule(body)
            held.rules.setdefault(rule.chain, []).append(rule)
        elif kind == Nft.NEWSETELEM:
            held.elements.setdefault(Set(body).name, []).extend(sets.elements_in(body))
    return held


def _differences(family: Family, name: str, found: Held, wanted: Held) -> Iterator[str]:
    table = f"table {family.word} {name}"
    if not found.chains and not found.sets:
        yield f"{table} is missing"
        return
    for chain in dict.fromkeys((*wanted.chains, *found.chains)):
        here, planned = (_texts(family, one.rules.get(chain, [])) for one in (found, wanted))
        if chain not in found.chains:
            yield f"{table}: chain {chain} is missing"
        elif chain not in wanted.chains:
            yield f"{table}: chain {chain} is somebody else's"
        elif rules_text.base_text(found.chains[chain]) != rules_text.base_text(wanted.chains[chain]):
            yield f"{table}: chain {chain} stands elsewhere: {rules_text.base_text(found.chains[chain])}"
        yield from (f"{table}: chain {chain} lacks: {one}" for one in planned if one not in here)
        yield from (f"{table}: chain {chain} has of somebody else: {one}" for one in here if one not in planned)
        if here != planned and sorted(here) == sorted(planned):
            yield f"{table}: the rules of chain {chain} stand in another order"
    for one in dict.fromkeys((*wanted.sets, *found.sets)):
        if one not in found.sets:
            yield f"{table}: set {one} is missing"
            continue
        for verb, several in (
            ("lacks", set(wanted.elements.get(one, ())) - set(found.elements.get(one, ()))),
            ("has of somebody else", set(found.elements.get(one, ())) - set(wanted.elements.get(one, ()))),
        ):
            for element in sorted(several, key=lambda each: each.key):
                if not element.ends:
                    yield f"{table}: set {one} {verb}: {_element(found.sets[one], element)}"


def _texts(family: Family, rules: Iterable[Rule]) -> list[str]:
    return [_rule(family, rule) for rule in rules]


def _rule(family: Family, rule: Rule) -> str:
    """On one line; one that is not Sampan's as a remark."""
    try:
        return _plain(rules_text.rule_text(family, rule))
    except Unreadable as error:
        return f"# not in Sampan's words: {_plain(str(error))} (see `nft list ruleset`)"


def _element(declared: Set, element: Element) -> str:
    try:
        key = " . ".join(rules_text.parts_of(declared.key, element.key))
        data = " . ".join(rules_text.parts_of(declared.data, element.data)) if declared.data else ""
    except (Unreadable, ValueError, IndexError):
        return element.key.hex()
    return f"{key} : {data}" if data else key


class _Concern:
    """Which elements concern a network, and what is said of them."""

    def __init__(self, zone: Zone, network: str, names: Mapping[str, str]) -> None:
        self._zone = zone
        self._network = network
        self._names = names
        self._subnets = [ipaddress.ip_network(one) for one in (zone.subnet, zone.subnet6) if one]

    def lines(self, declared: Set, elements: list[Element]) -> list[tuple[str, str]]:
        """(element, remark) of each that concerns the network."""
        if declared.flags & SetFlag.INTERVAL:
            return [
                (
                    f"{text} : {rules_text.parts_of(declared.data, data)[0]}" if data else text,
                    f"network {self._network}",
                )
                for text, data in rules_text.networks_of(elements)
                if "-" not in text and ipaddress.ip_network(text) in self._subnets
            ]
        found = []
        for one in elements:
            key = rules_text.parts_of(declared.key, one.key)
            data = rules_text.parts_of(declared.data, one.data) if declared.data else []
            if any(self._is_ours(member) for member in (*key, *data)):
                text = " . ".join(key) + (" : " + " . ".join(data) if data else "")
                found.append((text, self._remark(declared.name, key, data)))
        return sorted(found)

    def _is_ours(self, member: str) -> bool:
        if member == f'"{self._zone.bridge}"':
            return True
        address = _address(member)
        return address is not None and any(address in subnet for subnet in self._subnets)

    def _remark(self, name: str, key: list[str], data: list[str]) -> str:
        if name == "opened":
            return f"{self._whose(key[0])}, port {key[2]}/{key[1]}"
        if name in _PORTS:
            return f"{self._whose(data[0])}, port {data[1]}/{key[0]}"
        if name == "links":
            return f"{self._whose(key[0])} to {self._whose(key[1])}, port {key[3]}/{key[2]}"
        return f"network {self._network}"

    def _whose(self, address: str) -> str:
        return _plain(self._names.get(address, f"{address} (no running container's)"))


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text) if "." in text or ":" in text else None
    except ValueError:
        return None


def _table(family: Family, name: str, held: Held, concern: _Concern) -> Iterator[str]:
    yield f"table {family.word} {name} {{"
    for declared in held.sets.values():
        yield f"\t{'map' if declared.data else 'set'} {declared.name} {{"
        yield from (f"\t\t{line}" for line in rules_text.declaration(declared))
        lines = concern.lines(declared, held.elements[declared.name])
        if lines:
            yield "\t\telements = {"
            # A comma behind the last is allowed.
            yield from (f"\t\t\t{text},  # {remark}" for text, remark in lines)
            yield "\t\t}"
        yield "\t}"
    for chain in held.chains.values():
        yield f"\tchain {chain.name} {{"
        if base := rules_text.base_text(chain):
            yield f"\t\t{base}"
        yield from (f"\t\t{line}" for line in _texts(family, held.rules.get(chain.name, ())))
        yield "\t}"
    yield "}"


def _lines_of_others(passage: Passage, zone: Zone) -> Iterator[str]:
    """What stands in the chains of others for this network."""
    for (family, table, chain), rules in passage.present().items():
        mine = [one for one in _texts(family, rules) if f'"{zone.bridge}"' in one]
        if mine:
            yield "# In a chain of somebody else's, whose own rules are left out here:"
            yield f"table {family.word} {_plain(table)} {{"
            yield f"\tchain {_plain(chain)} {{"
            yield from (f"\t\t{line}" for line in mine)
            yield from ("\t}", "}")


def _plain(text: str) -> str:
    """On one line: what others called their things starts no line of its own."""
    return "".join(one if one.isprintable() else "?" for one in text)
