"""Published ports judged by the host's own firewall: tables `sampan-<instance>-host` of each family that it has rules in.

What is sent to a published port is translated before the host's input chains could see it, and then it is forwarded: `ufw
deny 8080` and `firewall-cmd --remove-port` would say nothing about it. So a copy of those chains (`input_rules`) stands on the
prerouting hook, in front of the translation, and is asked about each new connection to a published port from outside: the
same rules, on the packet as it came in. The copy is made anew within a fraction of a second when the host's rules change.

Whoever calls from the host itself or from one of our bridges is not asked about: the host's firewall is there against the outside,
and between networks it is the other table that decides. Where the host has no rules for its input there is no table either.
A rule that cannot be copied closes all published ports to the outside, and the log says which and what to do.
"""

from __future__ import annotations

import errno
import hashlib
import logging
from typing import TYPE_CHECKING

from sampan.kernel import nftables as nft
from sampan.kernel import nftables_copies as copies
from sampan.kernel import nftables_rules as say
from sampan.kernel.nftables import Family, Hook, Type, Verdict, concatenated
from sampan.kernel.nftables_copies import CannotCopy
from sampan.kernel.nftables_rules import CtState, Meta
from sampan.network.input_rules import OURS, Judge, judges
from sampan.network.port_elements import port_key

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from sampan.kernel.netlink import Message, Netlink
    from sampan.network.policy import Forward

_log = logging.getLogger("sampan.network")

_FIRST = -149
"""Behind the kernel's defragmentation, conntrack (-200) and mangle (-150), in front of translation (-100)."""
_JUDGES_LIMIT = 40
_IFNAMSIZ = 16
_NAME = (Type.IFNAME, _IFNAMSIZ)
_PORT = (concatenated(Type.INET_PROTO, Type.INET_SERVICE), 8)
_CLOSED = "closed"


class Judgement:
    """Not for two threads at once; raises OSError. `respects`: whether the host's firewall is asked at all."""

    def __init__(self, netfilter: Netlink, instance: str, ipv6: bool, respects: bool) -> None:
        self._netfilter = netfilter
        self.table = f"{OURS}{instance}-host"
        # Table's family → the packets' families that it judges.
        both = (Family.IPV4, *((Family.IPV6,) if ipv6 else ()))
        self._families: dict[Family, tuple[Family, ...]] = {**{one: (one,) for one in both}, Family.INET: both}
        self._respects = respects
        self._made: dict[Family, bytes] = {}
        """Family → what its copy was made of"""
        self._asked_now: dict[Family, list[str]] = {}

    def reconcile(self, bridges: Collection[str], forwards: Collection[Forward]) -> bool:
        """Make the copies what the host's rules are now; whether anything had to be changed."""
        try:
            found = judges(self._netfilter) if self._respects and bridges else []
            why = ""
        except CannotCopy as error:
            found, why = [], str(error)
        changed = False
        for family in self._families:
            mine = [one for one in found if one.chain.family == family]
            # Where the rules cannot even be read, the table of both families closes everything.
            unread = why if family == Family.INET else ""
            changed = self._reconcile(family, mine, unread, bridges, forwards) or changed
        return changed

    def _reconcile(
        self, family: Family, found: list[Judge], why: str, bridges: Collection[str], forwards: Collection[Forward]
    ) -> bool:
        mark = hashlib.sha256(b"".join(one.mark() for one in found) + repr((why, sorted(bridges))).encode()).digest()
        there = nft.has_table(self._netfilter, family, self.table)
        if not found and not why:
            if there:
                nft.commit(self._netfilter, [nft.delete_table_message(family, self.table)])
            self._made.pop(family, None)
            self._asked_now.pop(family, None)
            return there
        if there and self._made.get(family) == mark and self._is_whole(family, forwards):
            return False
        self._make(family, found, why, bridges, forwards)
        self._made[family] = mark
        return True

    def _make(
        self, family: Family, found: list[Judge], why: str, bridges: Collection[str], forwards: Collection[Forward]
    ) -> None:
        if not why:
            try:
                nft.commit(self._netfilter, list(self._messages(family, found, bridges, forwards)))
            except CannotCopy as error:
                why = str(error)
            except OSError as error:
                if error.errno in (errno.EPERM, errno.ENOMEM, errno.ETIMEDOUT):
                    raise
                why = str(error)
            else:
                names = [f"{family.word} {one.chain.table} {one.chain.name}" for one in found]
                _log.info("published ports are judged by %s", ", ".join(names))
                self._asked_now[family] = names
                return
        _log.error(
            "the host's firewall cannot be asked about published ports: %s; they are closed to the outside until it can "
            '("published-ports": "open" in daemon.json opens them all)',
            why,
        )
        self._asked_now[family] = ["nobody: they cannot be asked, and all ports are closed (see the daemon's log)"]
        nft.commit(self._netfilter, list(self._messages(family, [], bridges, forwards)))

    def additions(self, forwards: Iterable[Forward], remove: bool = False) -> list[Message]:
        """What puts published ports before the judges, or takes them away; nothing where there are none."""
        wanted = list(forwards)
        return [
            message
            for family in self._families
            if family in self._made
            for message in self._ports(family, wanted, remove)
        ]

    def described(self) -> list[str]:
        """Whose rules are asked at present, each as `ip filter INPUT`; "nobody: all are closed" where they cannot be."""
        return [one for several in self._asked_now.values() for one in several]

    def remove(self) -> None:
        """Take the copies away."""
        for family in self._families:
            if nft.has_table(self._netfilter, family, self.table):
                nft.commit(self._netfilter, [nft.delete_table_message(family, self.table)])
        self._made.clear()
        self._asked_now.clear()

    def _is_whole(self, family: Family, forwards: Iterable[Forward]) -> bool:
        """Whether all published ports are before the judges, and nobody has emptied the copies."""
        wanted = self._wanted(family, forwards)
        present = {name: set(nft.elements(self._netfilter, family, self.table, name)) for name in wanted}
        return present == wanted and bool(nft.rules(self._netfilter, family, self.table))

    def _messages(
        self, family: Family, found: list[Judge], bridges: Iterable[str], forwards: Iterable[Forward]
    ) -> Iterator[Message]:
        """The table anew; without judges one that closes everything."""
        if len(found) > _JUDGES_LIMIT:
            raise CannotCopy(f"{len(found)} chains on the input hook")
        yield nft.table_message(family, self.table)
        yield nft.delete_table_message(family, self.table)
        yield nft.table_message(family, self.table, "copy of the host's input rules, asked about published ports")
        yield from self._sets(family)
        yield from nft.elements_messages(
            family, self.table, "bridges", [nft.element(one.encode().ljust(_IFNAMSIZ, b"\0")) for one in bridges]
        )
        yield from self._ports(family, forwards, remove=False)
        numbers = iter(range(10, 1_000_000))  # behind those of its own sets
        for place, judge in enumerate(found):
            target = f"j{place}"
            yield from self._copy(family, target, judge, numbers)
            yield from self._asked(family, place, f"by-{place}", target)
        if not found:
            yield nft.chain_message(family, self.table, _CLOSED)
            yield nft.rule_message(family, self.table, _CLOSED, [say.verdict(Verdict.DROP)])
            yield from self._asked(family, 0, "by-nobody", _CLOSED)

    def _sets(self, family: Family) -> Iterator[Message]:
        yield nft.set_message(family, self.table, "bridges", 1, _NAME)
        for number, one in enumerate(self._families[family]):
            kind, length = (Type.IPV4_ADDR, 4) if one == Family.IPV4 else (Type.IPV6_ADDR, 16)
            named = (concatenated(Type.INET_PROTO, kind, Type.INET_SERVICE), length + 8)
            yield nft.set_message(family, self.table, _anywhere(one), 2 + 2 * number, _PORT)
            yield nft.set_message(family, self.table, _named(one), 3 + 2 * number, named)

    def _asked(self, family: Family, place: int, name: str, target: str) -> Iterator[Message]:
        """A base chain that leads new connections to published ports to one judge."""
        accept, to_judge = say.verdict(Verdict.ACCEPT), say.verdict(Verdict.GOTO, target)

        def rule(*expressions: bytes) -> Message:
            return nft.rule_message(family, self.table, name, expressions)

        yield nft.base_chain_message(family, self.table, name, "filter", Hook.PREROUTING, _FIRST + place)
        yield rule(say.connection_state(CtState.NEW, among=False), accept)
        yield rule(say.interface(Meta.IIFNAME, "lo"), accept)
        yield rule(say.interface_in(Meta.IIFNAME, "bridges"), accept)
        yield rule(say.destination_local(local=False), accept)
        for one in self._families[family]:
            of = say.network_protocol(one) if family == Family.INET else b""
            yield rule(of, say.port_in(one, _anywhere(one), with_address=False), to_judge)
            yield rule(of, say.port_in(one, _named(one), with_address=True), to_judge)

    def _copy(self, family: Family, target: str, judge: Judge, numbers: Iterator[int]) -> Iterator[Message]:
        chains = {name: f"{target}-{number}" for number, name in enumerate(judge.chains)}
        chains[judge.chain.name] = target
        sets = {name: f"{target}-s{number}" for number, name in enumerate(judge.sets)}
        yield from (nft.chain_message(family, self.table, name) for name in chains.values())
        for name, one in judge.sets.items():
            yield one.declared(family, self.table, sets[name], next(numbers))
            yield from one.filled(family, self.table, sets[name], chains)
        for name, rules in judge.chains.items():
            yield from (copies.rule_copy(family, self.table, chains[name], one, chains, sets) for one in rules)
        if judge.chain.policy == Verdict.DROP:
            yield nft.rule_message(family, self.table, target, [say.verdict(Verdict.DROP)])

    def _ports(self, family: Family, forwards: Iterable[Forward], remove: bool) -> Iterator[Message]:
        for name, keys in self._wanted(family, forwards).items():
            yield from nft.elements_messages(
                family, self.table, name, [nft.element(key) for key in sorted(keys)], remove
            )

    def _wanted(self, family: Family, forwards: Iterable[Forward]) -> dict[str, set[bytes]]:
        """The published ports that a table judges, by set."""
        found: dict[str, set[bytes]] = {
            name: set() for one in self._families[family] for name in (_anywhere(one), _named(one))
        }
        for forward in forwards:
            of = Family.IPV6 if forward.is_ipv6 else Family.IPV4
            name = _anywhere(of) if forward.is_anywhere else _named(of)
            if forward.is_translated and name in found:
                found[name].add(port_key(forward))
        return found


def _anywhere(family: Family) -> str:
    """The set of ports that are published on all addresses."""
    return f"anywhere-{family.name.lower()}"


def _named(family: Family) -> str:
    """The set of those that are published on one."""
    return f"named-{family.name.lower()}"
