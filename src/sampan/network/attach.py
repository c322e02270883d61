"""Connects a container to its bridge: the launcher's side of a network, in as few system calls as it takes.

    in the host's namespace                in the container's
    create_veth(plan, pid) ───────────────▶ configure_inside(plan, proc)      a cold start
    create_veth(slot plan, pid) ──────────▶ park_inside(…) … claim_inside(plan)   a warm slot
                                            lo_up()                               network none

A plan is the JSON of `plan.VethPlan`. IPv4 only: IPv6 is turned off on the link before it comes up, so that no
link-local address appears and no router advertisement is heard (CVE-2020-13401).

Neighbours are told by the kernel itself (`arp_notify`): it sends a gratuitous ARP when the link comes up and when its
hardware address is set. A packet socket would do the same, but closing one waits for RCU (7 ms and more). Nothing here
removes a pair either, for the same reason (20 ms): it goes with the container's namespace.

Loaded by the launcher.
"""

from __future__ import annotations

import errno
import os
import socket

from sampan.kernel import rtnetlink
from sampan.kernel.netlink import NETLINK_ROUTE, Netlink

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from sampan.kernel.netlink import Message

_LOOPBACK = 1
"""A network namespace's loopback has always the index 1 (LOOPBACK_IFINDEX)."""


class Inside:
    """A container's link, seen from inside: the socket and the index to go on working with. Close it before the program runs.

    The descriptor is close-on-exec.
    """

    __slots__ = ("index", "route")

    def __init__(self, name: str) -> None:
        self.index = socket.if_nametoindex(name)
        self.route = Netlink(NETLINK_ROUTE)

    def announce(self, mac: str) -> None:
        """Tell the neighbours again (setting the hardware address makes the kernel do so).

        Worth its 60 µs right before the program runs: what was sent when the link came up was lost where the bridge had
        not begun to forward on the new port, which takes it a fraction of a millisecond.
        """
        self.route.request_all([rtnetlink.up_message(self.index, mac=_mac(mac))])

    def close(self) -> None:
        """Close the socket."""
        self.route.close()


def create_veth(plan: dict[str, Any], pid: int, route: Netlink | None = None) -> None:
    """Make the pair: the host's end up and in the bridge, the other one, still down, in the namespace of process `pid`.

    To be run in the host's namespace, or with a `route` socket that was opened there. Raises OSError: EXFULL where the
    bridge has no port left (the kernel's limit is 1,023), ESRCH where the process is gone; nothing is left then.
    """
    if route is None:
        with Netlink(NETLINK_ROUTE) as own:
            create_veth(plan, pid, own)
        return
    name = plan["host_name"]
    messages: list[Message] = [
        rtnetlink.veth_message(name, plan["bridge_index"], plan["mtu"], plan["name"], _mac(plan["mac"]), pid)
    ]
    # The host's end is a port of the bridge: it needs no address of its own, and no duplicate address detection.
    if os.access("/proc/sys/net/ipv6", os.F_OK):
        messages.append(rtnetlink.no_link_local_message(name))
    messages.append(rtnetlink.port_up_message(name, plan["hairpin"], plan["isolated"]))
    route.request_all(messages)


def configure_inside(plan: dict[str, Any], proc: int) -> Inside:
    """Loopback up, the link's address, the link up, the default route: the cold start's half inside.

    To be run in the container's namespace. `proc` is a descriptor of a procfs's root, attached or not (whichever:
    the files below `sys/net` are those of the caller's namespace).
    """
    _settle_sysctls(plan["name"], proc)
    inside = Inside(plan["name"])
    try:
        inside.route.request_all(
            [
                rtnetlink.up_message(_LOOPBACK),
                rtnetlink.address_message(inside.index, socket.inet_aton(plan["address"]), plan["prefix"]),
                rtnetlink.up_message(inside.index),
                *_default_route(plan),
            ]
        )
    except BaseException:
        inside.close()
        raise
    return inside


def park_inside(name: str, proc: int) -> Inside:
    """Loopback and the link up, without an address: a warm slot's half inside. Arguments as for `configure_inside`."""
    _settle_sysctls(name, proc)
    inside = Inside(name)
    try:
        inside.route.request_all([rtnetlink.up_message(_LOOPBACK), rtnetlink.up_message(inside.index)])
    except BaseException:
        inside.close()
        raise
    return inside


def claim_inside(plan: dict[str, Any], inside: Inside) -> None:
    """Give a parked link its address, hardware address and route; the neighbours are told."""
    inside.route.request_all(
        [
            rtnetlink.address_message(inside.index, socket.inet_aton(plan["address"]), plan["prefix"]),
            rtnetlink.up_message(inside.index, mac=_mac(plan["mac"])),
            *_default_route(plan),
        ]
    )


def lo_up() -> None:
    """Bring up the loopback of the caller's namespace: all that network `none` has."""
    with Netlink(NETLINK_ROUTE) as route:
        route.request_all([rtnetlink.up_message(_LOOPBACK)])


def _default_route(plan: dict[str, Any]) -> tuple[Message, ...]:
    gateway = plan["gateway"]
    return (rtnetlink.default_route_message(socket.inet_aton(gateway)),) if gateway else ()


def _settle_sysctls(name: str, proc: int) -> None:
    """What must hold before the link `name` comes up."""
    try:
        _write(proc, f"sys/net/ipv6/conf/{name}/disable_ipv6", b"1")
    except OSError as error:
        if error.errno != errno.ENOENT:  # a kernel without IPv6, or started with ipv6.disable=1
            raise
    _write(proc, f"sys/net/ipv4/conf/{name}/arp_notify", b"1")


def _write(directory: int, path: str, value: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC, dir_fd=directory)
    try:
        os.write(descriptor, value)
    finally:
        os.close(descriptor)


def _mac(words: str) -> bytes:
    return bytes.fromhex(words.replace(":", ""))
