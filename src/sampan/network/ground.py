"""What all bridges of one daemon stand on: forwarding, the table of rules, the way through the chains of others.

Forwarding is switched on with the first bridge that needs it where it was off, and off again with the last (`forwarding`).
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from sampan.kernel import rtnetlink
from sampan.kernel.iptables_legacy import forward_policy_is_drop
from sampan.network import forwarding
from sampan.network.firewall import Firewall
from sampan.network.forwarding import Memory
from sampan.network.host_state import has_ipv6, others_forward
from sampan.network.judgement import Judgement
from sampan.network.passage import Passage, is_docker_bridge
from sampan.network.policy import Zone

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sampan.kernel.netlink import Netlink
    from sampan.kernel.rtnetlink import Link
    from sampan.network.options import NetworkOptions
    from sampan.spec.ids import InstanceId

PARENT_KINDS = ("vlan", "dummy")
"""Kinds of links that are made for networks to stand on."""

_log = logging.getLogger("sampan.network")


class Ground:
    """`route` and `netfilter` are sockets of the host's network namespace; the facade owns them. Raises OSError."""

    def __init__(self, instance: InstanceId, options: NetworkOptions, route: Netlink, netfilter: Netlink) -> None:
        self.route = route
        self.netfilter = netfilter
        self.label = f"sampan {instance}"
        """The alias of each bridge, and the beginning of the comment of each rule in another's chain."""
        self.instance = instance
        self._ip_forward = options.ip_forward
        self._zones: dict[str, Zone] = {}
        self.passage = Passage(netfilter, self.label)
        ipv6 = options.ip6tables and has_ipv6()
        self.judgement = Judgement(netfilter, instance, ipv6, options.judged)
        self.firewall = Firewall(
            netfilter,
            instance,
            on_change=self._heed,
            ipv6=ipv6,
            judgement=self.judgement,
            accepted=options.accepted_mark,
        )

    def open(self, zones: Sequence[Zone]) -> None:
        """Bring forwarding, rules and the chains of others into the state that these networks need."""
        self._zones = {zone.bridge: zone for zone in zones}
        if zones:
            self._forward(zones[0].bridge)
        self.firewall.inherit()
        for zone in zones:
            self.firewall.announce(zone)
        self.firewall.install()
        self._let_through()
        self._warn_of_legacy_rules()

    def admit(self, zone: Zone) -> None:
        """One more network. Its bridge exists."""
        self._zones[zone.bridge] = zone
        if self._forward(zone.bridge):
            self.firewall.install()
        self.firewall.admit(zone)
        self._heed()

    def dismiss(self, bridge: str) -> None:
        """One network less: its rules and its bridge go. With the last one the table goes, too."""
        if self._zones.pop(bridge, None) is not None:
            self.firewall.dismiss(bridge)
            self._heed()
        link = rtnetlink.link_by_name(self.route, bridge)
        if link is None or not self.is_ours(link):
            return
        bearer, memory = self._memory()
        needed = Memory(bool(self._zones) and memory.ipv4, self._wants_ipv6() and memory.ipv6, memory.listeners)
        if self._zones and memory != Memory() and (bearer == bridge or needed != memory):
            # Before it is lost with the link: another bridge remembers.
            self._remember(next(iter(self._zones)) if bearer == bridge else bearer, needed)
        self.route.request_all([rtnetlink.delete_message(link.index)])
        ours = [one.index for one in self._own()]
        off4 = memory.ipv4 and not needed.ipv4 and not others_forward(self.route, ours)
        off6 = memory.ipv6 and not needed.ipv6 and not others_forward(self.route, ours, 6)
        forwarding.switch_off(Memory(off4, off6, memory.listeners))

    def close(self) -> None:
        """Every network has been dismissed: nothing of the daemon's stays on the host."""
        self.passage.remove()
        self.firewall.uninstall()

    def is_ours(self, link: Link) -> bool:
        """Whether a link is a bridge that this instance made."""
        return link.kind == "bridge" and forwarding.read(link.alias, self.label) is not None

    def bridges(self) -> list[str]:
        """The bridges on the host that this instance made, whether or not a network still wants them."""
        return [link.name for link in self._own()]

    def remove_parents(self, wanted: Collection[str]) -> None:
        """Remove what an earlier daemon made for networks to stand on (`parent_link`), where none does any more."""
        for kind in PARENT_KINDS:
            for link in rtnetlink.links(self.route, kind):
                if link.alias == self.label and link.name not in wanted:
                    _log.info("no network stands on the link %s: removed", link.name)
                    self.route.request_all([rtnetlink.delete_message(link.index)])

    def _own(self) -> list[Link]:
        return [link for link in rtnetlink.links(self.route, "bridge") if self.is_ours(link)]

    def _heed(self) -> None:
        """Somebody has changed rules of the host."""
        self.firewall.heed()
        self._let_through()

    def _let_through(self) -> None:
        docker = any(chain == "DOCKER-USER" for _, _, chain in self.passage.places())
        bridges = [link.name for link in rtnetlink.links(self.route, "bridge")] if docker else []
        self.passage.bridges = list(self._zones)
        self.passage.reconcile(sorted(name for name in bridges if is_docker_bridge(name)))

    def _warn_of_legacy_rules(self) -> None:
        """Rules of iptables-legacy are a blob that only its own command rewrites: the administrator is told."""
        if self._zones and forward_policy_is_drop():
            _log.warning(
                "the chain FORWARD of iptables-legacy drops what it does not know, and with it all traffic of %(bridge)s; "
                "let it through by: iptables-legacy -I FORWARD -i %(bridge)s -j ACCEPT; "
                "iptables-legacy -I FORWARD -o %(bridge)s -j ACCEPT",
                {"bridge": next(iter(self._zones))},
            )

    def _forward(self, bridge: str) -> bool:
        """See to it that packets go through; whether a guard has changed with it.

        Where it is us who switched forwarding on, only bridges may use it (Docker sets a policy for that).
        """
        bearer, memory = self._memory()
        links = [link.name for link in rtnetlink.links(self.route) if link.up and not link.master]
        wanted = forwarding.missing(memory, self.label, links, ipv6=self._wants_ipv6(), allowed=self._ip_forward)
        if wanted != memory:
            # Noted before it is done: a crash in between must not lose it.
            self._remember(bearer or bridge, wanted)
        if self._ip_forward:
            forwarding.switch_on(wanted)
        guards = {4: wanted.ipv4, 6: wanted.ipv6}
        changed = guards != self.firewall.guards
        self.firewall.guards = guards
        return changed

    def _wants_ipv6(self) -> bool:
        return any(zone.subnet6 and not zone.internal for zone in self._zones.values())

    def _memory(self) -> tuple[str, Memory]:
        """The bridge that remembers what we switched on, and that; "" where none does."""
        for link in rtnetlink.links(self.route, "bridge"):
            memory = forwarding.read(link.alias, self.label)
            if memory is not None and not memory.is_empty:
                return link.name, memory
        return "", Memory()

    def _remember(self, bridge: str, memory: Memory) -> None:
        self.route.request_all([rtnetlink.alias_message(bridge, memory.alias(self.label))])
