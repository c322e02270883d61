"""What all bridges of one daemon stand on: forwarding, the table of rules, the way through the chains of others.

Forwarding is switched on with the first bridge where it was off, and off again with the last. That it was off is remembered in
the alias of one of the bridges, which outlives the daemon.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from sampan.kernel import rtnetlink
from sampan.kernel.iptables_legacy import forward_policy_is_drop
from sampan.network.firewall import Firewall, Zone
from sampan.network.host_state import others_forward, read_sysctl, write_sysctl
from sampan.network.passage import Passage, is_docker_bridge

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sampan.kernel.netlink import Netlink
    from sampan.kernel.rtnetlink import Link
    from sampan.spec.ids import InstanceId

_log = logging.getLogger("sampan.network")
_SWITCHED_ON = " forwarding-was-off"


class Ground:
    """`route` and `netfilter` are sockets of the host's network namespace; the facade owns them. Raises OSError."""

    def __init__(self, instance: InstanceId, ip_forward: bool, route: Netlink, netfilter: Netlink) -> None:
        self.route = route
        self.netfilter = netfilter
        self.label = f"sampan {instance}"
        """The alias of each bridge, and the beginning of the comment of each rule in another's chain."""
        self.instance = instance
        self._ip_forward = ip_forward
        self._zones: dict[str, Zone] = {}
        self._passage = Passage(netfilter, self.label)
        self.firewall = Firewall(netfilter, instance, on_change=self._let_through)

    def open(self, zones: Sequence[Zone]) -> None:
        """Bring forwarding, rules and the chains of others into the state that these networks need."""
        self._zones = {zone.bridge: zone for zone in zones}
        self.firewall.guard = bool(zones) and self._switch_forwarding_on(zones[0].bridge)
        self.firewall.inherit()
        for zone in zones:
            self.firewall.announce(zone)
        self.firewall.install()
        self._let_through()
        self._warn_of_legacy_rules()

    def admit(self, zone: Zone) -> None:
        """One more network. Its bridge exists."""
        self._zones[zone.bridge] = zone
        guard = self._switch_forwarding_on(zone.bridge)
        if guard is not self.firewall.guard:
            self.firewall.guard = guard
            self.firewall.install()
        self.firewall.admit(zone)
        self._let_through()

    def dismiss(self, bridge: str) -> None:
        """One network less: its rules and its bridge go. With the last one the table goes, too."""
        if self._zones.pop(bridge, None) is not None:
            self.firewall.dismiss(bridge)
            self._let_through()
        link = rtnetlink.link_by_name(self.route, bridge)
        if link is None or not self.is_ours(link):
            return
        marked = link.alias.endswith(_SWITCHED_ON)
        if marked and self._zones:
            # Before it is lost with the link: another bridge remembers.
            heir = next(iter(self._zones))
            self.route.request_all([rtnetlink.alias_message(heir, self.label + _SWITCHED_ON)])
        self.route.request_all([rtnetlink.delete_message(link.index)])
        if marked and not self._zones and not others_forward(self.route, link.index):
            write_sysctl("ipv4/ip_forward", "0")

    def close(self) -> None:
        """Every network has been dismissed: nothing of the daemon's stays on the host."""
        self._passage.remove()
        self.firewall.uninstall()

    def is_ours(self, link: Link) -> bool:
        """Whether a link is a bridge that this instance made."""
        return link.kind == "bridge" and link.alias in (self.label, self.label + _SWITCHED_ON)

    def bridges(self) -> list[str]:
        """The bridges on the host that this instance made, whether or not a network still wants them."""
        return [link.name for link in rtnetlink.links(self.route, "bridge") if self.is_ours(link)]

    def _let_through(self) -> None:
        docker = any(chain == "DOCKER-USER" for _, _, chain in self._passage.places())
        bridges = [link.name for link in rtnetlink.links(self.route, "bridge")] if docker else []
        self._passage.bridges = list(self._zones)
        self._passage.reconcile(sorted(name for name in bridges if is_docker_bridge(name)))

    def _warn_of_legacy_rules(self) -> None:
        """Rules of iptables-legacy are a blob that only its own command rewrites: the administrator is told."""
        if self._zones and forward_policy_is_drop():
            _log.warning(
                "the chain FORWARD of iptables-legacy drops what it does not know, and with it all traffic of %(bridge)s; "
                "let it through by: iptables-legacy -I FORWARD -i %(bridge)s -j ACCEPT; "
                "iptables-legacy -I FORWARD -o %(bridge)s -j ACCEPT",
                {"bridge": next(iter(self._zones))},
            )

    def _switch_forwarding_on(self, bridge: str) -> bool:
        """Whether it is us who switched forwarding on: then only bridges may use it (Docker sets a policy for that)."""
        if any(
            link.alias == self.label + _SWITCHED_ON and link.name in self._zones
            for link in rtnetlink.links(self.route, "bridge")
        ):
            if self._ip_forward:
                write_sysctl("ipv4/ip_forward", "1")
            return True
        if read_sysctl("ipv4/ip_forward") != "0":
            return False
        if not self._ip_forward:
            _log.warning("IPv4 forwarding is disabled. Networking will not work.")
            return False
        # Noted before it is done: a crash in between must not lose it.
        self.route.request_all([rtnetlink.alias_message(bridge, self.label + _SWITCHED_ON)])
        write_sysctl("ipv4/ip_forward", "1")
        return True
