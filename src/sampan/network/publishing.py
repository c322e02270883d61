"""Published ports set up and taken back: the host's ports bound, the rules that lead on, flows that are known already forgotten."""

from __future__ import annotations

import errno
import logging
from dataclasses import replace
from socket import AF_INET, AF_INET6
from typing import TYPE_CHECKING

from sampan.errors import System
from sampan.kernel import conntrack
from sampan.network.endpoint import Published
from sampan.network.port_elements import PROTOCOLS

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterable, Sequence

    from sampan.kernel.netlink import Netlink
    from sampan.network.firewall import Firewall
    from sampan.network.policy import Forward
    from sampan.network.ports import HostPorts, Placed, Reach

_log = logging.getLogger("sampan.network")


class Publishing:
    """`ports` are those that the daemon has taken, whoever they lead to."""

    def __init__(self, ports: HostPorts, firewall: Firewall, netfilter: Netlink) -> None:
        self._ports = ports
        self._firewall = firewall
        self._netfilter = netfilter

    def publish(self, wanted: Iterable[Placed]) -> Published:
        """All of them or none. Raises PortTaken, OSError."""
        forwards: list[Forward] = []
        held: list[socket.socket] = []
        try:
            for one in wanted:
                more, sockets = self._ports.bind(one)
                forwards += more
                held += sockets
            self._firewall.add(forwards)
            self._forget_flows(forwards)
        except (OSError, System):
            for sock in held:
                sock.close()
            self.withdraw(forwards)
            raise
        return Published(tuple(forwards), tuple(held))

    def redirect(self, before: Sequence[Forward], reach: Reach) -> tuple[Forward, ...]:
        """Lead ports that stay taken to other addresses. Raises OSError."""
        self._firewall.remove(before)
        after = tuple(replace(forward, address=_leads(forward, reach)) for forward in before)
        self._firewall.add(forward for forward in after if forward.address)
        self._forget_flows(before)
        return after

    def withdraw(self, forwards: Sequence[Forward]) -> None:
        """Take back ports; never raises for the host's refusal: it is logged."""
        for forward in forwards:
            self._ports.give_back(forward)
        if not forwards:
            return
        try:
            self._firewall.remove(forwards)
            self._forget_flows(forwards)
        except OSError as error:
            _log.warning("ports stay in the table until it is verified: %s", error)

    def _forget_flows(self, forwards: Sequence[Forward]) -> None:
        """A flow that is known keeps going where it went before. UDP only: TCP starts anew with each connection."""
        ports: dict[int, set[int]] = {}
        for one in forwards:
            if one.protocol == "udp" and one.host_port:
                ports.setdefault(AF_INET6 if one.is_ipv6 else AF_INET, set()).add(one.host_port)
        if not ports:
            return
        try:
            conntrack.delete_to_ports(self._netfilter, PROTOCOLS["udp"], ports)
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):
                raise
            _log.warning("stale UDP flows are kept, this kernel has no ctnetlink: %s", error)


def _leads(forward: Forward, reach: Reach) -> str:
    if not forward.is_ipv6:
        return reach.address
    return reach.target6(forward.protocol)
