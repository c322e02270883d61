"""What the host's own firewall says of packets for the host itself: read from the kernel, whoever wrote it (ufw, firewalld, …).

Every base chain of type filter on the input hook, with the chains and sets that it leads to. Bounded: a host whose rules are
larger than any that were thought of is told so (TooMuch), not waited for.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sampan.kernel import nftables as nft
from sampan.kernel.netlink import text
from sampan.kernel.nftables import Chain, Family, Hook, Nft, Rule, Verdict, header
from sampan.kernel.nftables_copies import CannotCopy, Foreign, fingerprint, may_refuse, referred

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sampan.kernel.netlink import Netlink

OURS = "sampan-"
"""How the names of the tables begin that some daemon of Sampan's made."""
RULES_LIMIT = 20_000
ELEMENTS_LIMIT = 200_000
_COUNTED = 4_096
"""Sets of more elements are told apart by their number alone."""


class TooMuch(CannotCopy):
    """More rules or elements than are copied."""


@dataclass(slots=True)
class Judge:
    """One base chain, with everything it leads to by name."""

    chain: Chain
    chains: dict[str, list[Rule]] = field(default_factory=dict)
    sets: dict[str, Foreign] = field(default_factory=dict)

    @property
    def lets_all_in(self) -> bool:
        """Whether nothing in it can refuse a packet: then it is not asked (ufw leaves its chains when it is disabled)."""
        rules = (rule for several in self.chains.values() for rule in several)
        return self.chain.policy != Verdict.DROP and not any(may_refuse(rule) for rule in rules)

    def mark(self) -> bytes:
        """What tells one state of it from another; counters aside."""
        found = hashlib.sha256(
            f"{self.chain.family} {self.chain.table} {self.chain.policy} {self.chain.priority}".encode()
        )
        for name, rules in self.chains.items():
            found.update(name.encode() + b"\n")
            for rule in rules:
                found.update(fingerprint(rule) + b"\n")
        for name, one in self.sets.items():
            found.update(name.encode())
            small = sum(map(len, one.elements)) < 64 * _COUNTED
            found.update(b"".join(one.elements) if small else str(sum(map(len, one.elements))).encode())
        return found.digest()


def judges(netfilter: Netlink) -> list[Judge]:
    """The host's judges in the order in which they are asked. Raises OSError, TooMuch."""
    found = []
    wanted = [
        chain
        for chain in nft.chains(netfilter)
        if chain.hook == Hook.INPUT
        and chain.kind == "filter"
        and chain.family in (Family.IPV4, Family.IPV6, Family.INET)
        and not chain.table.startswith(OURS)
    ]
    tables: dict[tuple[int, str], dict[str, list[Rule]]] = {}
    for chain in sorted(wanted, key=lambda one: one.priority):
        key = (chain.family, chain.table)
        if key not in tables:
            tables[key] = _by_chain(nft.rules(netfilter, Family(chain.family), chain.table))
        judge = _reached(chain, tables[key])
        if not judge.lets_all_in:
            _tell_sets(netfilter, judge, tables[key])
            found.append(judge)
    return found


def _by_chain(rules: Iterable[Rule]) -> dict[str, list[Rule]]:
    found: dict[str, list[Rule]] = {}
    for number, rule in enumerate(rules):
        if number >= RULES_LIMIT:
            raise TooMuch(f"more than {RULES_LIMIT} rules in the table {rule.table}")
        found.setdefault(rule.chain, []).append(rule)
    return found


def _reached(chain: Chain, rules: dict[str, list[Rule]]) -> Judge:
    judge = Judge(chain)
    _follow(judge, chain.name, rules)
    return judge


def _follow(judge: Judge, first: str, rules: dict[str, list[Rule]]) -> set[str]:
    """Take in the chains that are reached from `first`; the sets that they ask."""
    waiting, asked = [first], set()
    while waiting:
        name = waiting.pop()
        if name in judge.chains:
            continue
        judge.chains[name] = rules.get(name, [])
        for rule in judge.chains[name]:
            for kind, reference in referred(rule):
                if kind == "chain":
                    waiting.append(reference)
                else:
                    asked.add(reference)
    return asked


def _tell_sets(netfilter: Netlink, judge: Judge, rules: dict[str, list[Rule]]) -> None:
    """The sets that its rules ask, and the chains that maps of verdicts lead to, which ask sets again."""
    family, table = Family(judge.chain.family), judge.chain.table
    body = header(family) + text(1, table)
    declared = {
        one.name: one
        for one in (Foreign(each) for _, each in netfilter.dump(Nft.GETSET, body, f"nft list sets {table}"))
    }
    waiting = [name for one in judge.chains.values() for rule in one for kind, name in referred(rule) if kind == "set"]
    left = ELEMENTS_LIMIT
    while waiting:
        name = waiting.pop()
        if name in judge.sets:
            continue
        if name not in declared:
            raise CannotCopy(f"the set {name} of the table {table}, which is gone")
        one = judge.sets[name] = declared[name]
        asked = header(family) + text(1, table) + text(2, name)
        for _, part in netfilter.dump(Nft.GETSETELEM, asked, f"nft list set {table} {name}"):
            left -= one.tell(part)
            if left < 0:
                raise TooMuch(f"more than {ELEMENTS_LIMIT} elements in sets of the table {table}")
        for chain in one.chains():
            waiting += _follow(judge, chain, rules)
