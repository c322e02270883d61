"""A way through the host's own forward chains, where those drop what they do not know (Docker's iptables policy, ufw, firewalld).

An accept in our table does not help: every base chain on a hook is asked, and a drop in any of them is final. So rules
go into the foreign chain: "from our bridge" and "to our bridge", accepted. What reaches a container is still decided by
our own table. They carry a comment with the instance, and are removed with it.

Where Docker runs, they stand at the end of its DOCKER-USER chain, behind what the administrator put there and before its
RETURN, and leave to Docker's chains what goes to Docker's own bridges. In ufw's chain they stand behind the administrator's
rules (`ufw route deny …` holds) and before what ufw does to the rest. Otherwise they stand first in the chain that drops.
"""

from __future__ import annotations

import errno
import logging
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from sampan.kernel import netlink
from sampan.kernel import nftables as nft
from sampan.kernel import nftables_rules as say
from sampan.kernel.nftables import Family, Hook, Verdict
from sampan.kernel.nftables_copies import referred
from sampan.kernel.nftables_rules import Meta

if TYPE_CHECKING:
    from sampan.kernel.netlink import Message, Netlink
    from sampan.kernel.nftables import Chain, Rule

_log = logging.getLogger("sampan.network")

_DOCKER_USER = "DOCKER-USER"
_DOCKER_BRIDGE = re.compile(r"docker0|br-[0-9a-f]{12}")
_UFW_REST = "ufw-after-logging-forward"
_UFW_USER = "ufw-before-forward"
"""What ufw's FORWARD does with what its rules have not decided begins with a jump there."""
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
        self._closed: set[Place] = set()
        """those that we may not write into, and have told of"""

    def places(self) -> list[Place]:
        """Where rules are needed at present."""
        chains = nft.chains(self._netfilter)
        return [_place(chain, chains) for chain in _forward_chains(chains) if self._drops(chain)]

    def _drops(self, chain: Chain) -> bool:
        """Whether it refuses what nothing in it has accepted: by its policy, or by a last rule without conditions (firewalld)."""
        if chain.policy == Verdict.DROP:
            return True
        last = nft.rules(self._netfilter, Family(chain.family), chain.table, chain.name)[-1:]
        said = [one for one in last[0].expressions if one[0] not in ("counter", "log", "limit")] if last else []
        return len(said) == 1 and (said[0][0] == "reject" or _is_drop(*said[0]))

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
        droppers = [chain for chain in _forward_chains(chains) if self._drops(chain)]
        wanted: dict[Place, list[Line]] = {_place(chain, chains): [] for chain in _forward_chains(chains)}
        for chain in droppers:
            place = _place(chain, chains)
            wanted[place] = self._lines(docker_bridges if place[2] == _DOCKER_USER else ())
        changed = False
        for place, lines in wanted.items():
            messages = self._changes(place, lines)
            if messages and self._commit(place, messages):
                changed = True
                _log.info("forward chain %s %s: %s", place[1], place[2], "through" if lines else "left alone again")
        return changed

    def _commit(self, place: Place, messages: list[Message]) -> bool:
        """Whether it was done: a table that another process owns (firewalld since 2.1) is changed by nobody else."""
        try:
            nft.commit(self._netfilter, messages)
        except OSError as error:
            if error.errno != errno.EPERM:
                raise
            if place not in self._closed:
                self._closed.add(place)
                _log.warning(
                    "the chain %s of the table %s refuses what containers send, and its owner lets nobody write into it; with "
                    "firewalld, let it through by: %s",
                    place[2], place[1],
                    "; ".join(f"firewall-cmd --permanent --zone=trusted --add-interface={one}" for one in self.bridges)
                    + "; firewall-cmd --reload",
                )  # fmt: skip
            return False
        self._closed.discard(place)
        return True

    def remove(self) -> None:
        """Take our rules out of every chain of others."""
        chains = nft.chains(self._netfilter)
        for place in {_place(chain, chains) for chain in _forward_chains(chains)}:
            if messages := self._changes(place, []):
                self._commit(place, messages)

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
        rest = _jump_to(present, _UFW_REST)
        if [rule.comment for rule in ours] == words and _stand_well(present, ours, rest):
            return []
        messages = [nft.delete_rule_message(family, table, chain, rule.handle) for rule in ours]
        before = rest.handle if rest is not None else _final_return(chain, present)
        # Each goes in front of what stood first, so they are given from the last to the first; before a handle, in order.
        at_front = chain != _DOCKER_USER and not before
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


def _jump_to(present: list[Rule], chain: str) -> Rule | None:
    return next((rule for rule in present if ("chain", chain) in referred(rule)), None)


def _stand_well(present: list[Rule], ours: list[Rule], rest: Rule | None) -> bool:
    """In ufw's chain, whether ours stand behind all that jumps to the administrator's rules: a reload appends those anew."""
    if rest is None or not ours:
        return True
    order = [rule.handle for rule in present]
    user = _jump_to(present, _UFW_USER)
    begin = order.index(user.handle) if user is not None else -1
    return all(begin < order.index(rule.handle) < order.index(rest.handle) for rule in ours)


def _is_drop(name: str, data: bytes) -> bool:
    verdict = netlink.table(netlink.table(netlink.table(data).get(2, b"")).get(2, b""))
    return name == "immediate" and verdict.get(1) == int(Verdict.DROP).to_bytes(4, "big")


def _expressions(line: Line) -> list[bytes]:
    source, target, verdict = line
    parts = []
    if source:
        parts.append(say.interface(Meta.IIFNAME, source))
    if target:
        parts.append(say.interface(Meta.OIFNAME, target))
    return [*parts, say.counter(), say.verdict(verdict)]
