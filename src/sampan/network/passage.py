"""A way through the host's own forward chains, where those drop what they do not know (Docker's iptables policy, ufw).

An accept in our table does not help: every base chain on a hook is asked, and a drop in any of them is final. So rules
go into the foreign chain: "from our bridge" and "to our bridge", accepted. What reaches a container is still decided by
our own table. They carry a comment with the instance, and are removed with it.

Where Docker runs, they stand at the end of its DOCKER-USER chain, behind what the administrator put there and before its
RETURN, and leave to Docker's chains what goes to Docker's own bridges. Otherwise they stand first in the chain that drops.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from sampan.kernel import nftables as nft
from sampan.kernel import nftables_rules as say
from sampan.kernel.nftables import Family, Hook, Verdict
from sampan.kernel.nftables_rules import Meta

if TYPE_CHECKING:
    from sampan.kernel.netlink import Message, Netlink
    from sampan.kernel.nftables import Chain, Rule

_log = logging.getLogger("sampan.network")

_DOCKER_USER = "DOCKER-USER"
_DOCKER_BRIDGE = re.compile(r"docker0|br-[0-9a-f]{12}")
_FAMILIES = (Family.IPV4, Family.IPV6, Family.INET)

Place = tuple[Family, str, str]
"""Family, table and chain that rules are put into."""
Line = tuple[str, str, Verdict]
"""In-interface ("" for any), out-interface ("" for any), verdict."""


def is_docker_bridge(name: str) -> bool:
    """Whether a bridge has a name as Docker gives them."""
    return _DOCKER_BRIDGE.fullmatch(name) is not None


class Passage:
    """Keeps `bridges` passable in the chains of others. `label` names the instance in comments."""

    def __init__(self, netfilter: Netlink, label: str) -> None:
        self._netfilter = netfilter
        self._label = label
        self.bridges: list[str] = []

    def places(self) -> list[Place]:
        """Where rules are needed at present."""
        chains = nft.chains(self._netfilter)
        return [_place(chain, chains) for chain in _forward_chains(chains) if chain.policy == Verdict.DROP]

    def present(self) -> dict[Place, list[Rule]]:
        """Our rules in the chains of others, as they stand there."""
        chains = nft.chains(self._netfilter)
        found: dict[Place, list[Rule]] = {}
        for place in dict.fromkeys(_place(chain, chains) for chain in _forward_chains(chains)):
            rules = nft.rules(self._netfilter, *place)
            found[place] = [rule for rule in rules if rule.comment.startswith(f"{self._label} ")]
        return found

    def reconcile(self, docker_bridges: Sequence[str]) -> bool:
        """Make the rules what they should be, everywhere; whether anything had to be changed."""
        chains = nft.chains(self._netfilter)
        droppers = [chain for chain in _forward_chains(chains) if chain.policy == Verdict.DROP]
        wanted: dict[Place, list[Line]] = {_place(chain, chains): [] for chain in _forward_chains(chains)}
        for chain in droppers:
            place = _place(chain, chains)
            wanted[place] = self._lines(docker_bridges if place[2] == _DOCKER_USER else ())
        messages: list[Message] = []
        for place, lines in wanted.items():
            messages += self._changes(place, lines)
        if messages:
            nft.commit(self._netfilter, messages)
            _log.info("forward chains: %s", ", ".join(f"{table} {chain}" for _, table, chain in wanted))
        return bool(messages)

    def remove(self) -> None:
        """Take our rules out of every chain of others."""
        chains = nft.chains(self._netfilter)
        messages: list[Message] = []
        for place in {_place(chain, chains) for chain in _forward_chains(chains)}:
            messages += self._changes(place, [])
        if messages:
            nft.commit(self._netfilter, messages)

    def _lines(self, docker_bridges: Sequence[str]) -> list[Line]:
        lines: list[Line] = []
        for ours in self.bridges:
            lines += [(ours, other, Verdict.RETURN) for other in docker_bridges]
            lines += [(ours, "", Verdict.ACCEPT), ("", ours, Verdict.ACCEPT)]
        return lines

    def _changes(self, place: Place, lines: list[Line]) -> list[Message]:
        """What makes our rules in a chain equal to `lines`; nothing where they are."""
        family, table, chain = place
        present = nft.rules(self._netfilter, family, table, chain)
        ours = [rule for rule in present if rule.comment.startswith(f"{self._label} ")]
        words = [self._words(line) for line in lines]
        if [rule.comment for rule in ours] == words:
            return []
        messages = [nft.delete_rule_message(family, table, chain, rule.handle) for rule in ours]
        before = _final_return(chain, present)
        # Each goes in front of what stood first, so they are given from the last to the first; before a handle, in order.
        at_front = chain != _DOCKER_USER
        messages += [
            nft.rule_message(family, table, chain, _expressions(line), self._words(line), before, first=at_front)
            for line in (reversed(lines) if at_front else lines)
        ]
        return messages

    def _words(self, line: Line) -> str:
        source, target, verdict = line
        return f"{self._label} {source or 'any'} to {target or 'any'}: {verdict.name.lower()}"


def _forward_chains(chains: list[Chain]) -> list[Chain]:
    return [
        chain
        for chain in chains
        if chain.hook == Hook.FORWARD
        and chain.kind == "filter"
        and chain.family in _FAMILIES
        and not chain.table.startswith("sampan-")
    ]


def _place(chain: Chain, chains: list[Chain]) -> Place:
    """DOCKER-USER in place of the iptables chain FORWARD, where Docker has made it."""
    has_docker = any(
        other.name == _DOCKER_USER and other.table == chain.table and other.family == chain.family for other in chains
    )
    return Family(chain.family), chain.table, _DOCKER_USER if has_docker and chain.name == "FORWARD" else chain.name


def _final_return(chain: str, present: list[Rule]) -> int:
    """The handle of DOCKER-USER's closing RETURN; 0 where it has none (later Dockers do without)."""
    if chain != _DOCKER_USER or not present:
        return 0
    last = present[-1]
    conditions = [name for name, _ in last.expressions if name not in ("counter", "immediate")]
    return last.handle if not conditions and not last.comment else 0


def _expressions(line: Line) -> list[bytes]:
    source, target, verdict = line
    parts = []
    if source:
        parts.append(say.interface(Meta.IIFNAME, source))
    if target:
        parts.append(say.interface(Meta.OIFNAME, target))
    return [*parts, say.counter(), say.verdict(verdict)]
