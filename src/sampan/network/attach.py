"""Connects a container to its network: the launcher's side of it, in as few system calls as it takes.

    in the host's namespace                in the container's
    create_link(plan, pid) ───────────────▶ configure_inside(plan, proc)      a cold start
    create_link(slot plan, pid) ──────────▶ park_inside(…) … claim_inside(plan)   a warm slot
                                            lo_up()                               network none

A plan is the JSON of `plan.LinkPlan`: a pair with one end in a bridge, a link that stands on one of the host's (macvlan,
ipvlan), or one of the host's that a plugin has made and that is moved. On a link without IPv6 that is turned off before it comes
up, so that no link-local address appears; no link hears router advertisements (CVE-2020-13401), and none searches for
duplicates: addresses are given out by the daemon, and a second of waiting is a second of the start.

Neighbours are told by the kernel itself (`arp_notify`, `ndisc_notify`): it sends a gratuitous ARP and a neighbour advertisement
when the link comes up and when its hardware address is set. A packet socket would do the same, but closing one waits for RCU
(7 ms and more). Nothing here removes a link either, for the same reason (20 ms): it goes with the container's namespace.

Loaded by the launcher.
"""

from __future__ import annotations

import errno
import os
import socket
import time

from sampan.kernel import parented_links, rtnetlink
from sampan.kernel.netlink import NETLINK_ROUTE, Netlink

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from sampan.kernel.netlink import Message

_LOOPBACK = 1
"""A network namespace's loopback has always the index 1 (LOOPBACK_IFINDEX)."""
_GOING_SECONDS = 5.0
_POLL_SECONDS = 0.01


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


def create_link(plan: dict[str, Any], pid: int, route: Netlink | None = None) -> None:
    """Make the link, still down, in the namespace of process `pid`; of a pair the host's end is then up and in the bridge.

    To be run in the host's namespace, or with a `route` socket that was opened there. Raises OSError: EXFULL where the
    bridge has no port left (the kernel's limit is 1,023), ESRCH where the process is gone; those of a link with a parent say so in
    Docker's words (`parented_links.macvlan_message` lists them). Nothing is left then.
    """
    if route is None:
        with Netlink(NETLINK_ROUTE) as own:
            create_link(plan, pid, own)
        return
    if plan["kind"] == "veth":
        _create_pair(plan, pid, route)
        return
    if plan["kind"] == "moved":
        _move(plan, pid, route)
        return
    try:
        # With passthru there is one link: that of a container which ended just now may not be gone yet.
        _patiently(route, _parented(plan, pid), errno.EINVAL if plan["mode"] == "passthru" else 0)
    except OSError as error:
        number = error.errno or errno.EIO
        raise OSError(number, f"failed to create the {plan['kind']} port: {os.strerror(number).lower()}") from error


def _create_pair(plan: dict[str, Any], pid: int, route: Netlink) -> None:
    name = plan["host_name"]
    messages: list[Message] = [
        rtnetlink.veth_message(name, plan["bridge_index"], plan["mtu"], plan["name"], _mac(plan["mac"]), pid)
    ]
    # The host's end is a port of the bridge: it needs no address of its own, and no duplicate address detection.
    if os.access("/proc/sys/net/ipv6", os.F_OK):
        messages.append(rtnetlink.no_link_local_message(name))
    messages.append(rtnetlink.port_up_message(name, plan["hairpin"], plan["isolated"]))
    route.request_all(messages)


def _move(plan: dict[str, Any], pid: int, route: Netlink) -> None:
    """A link that is there already goes to the container."""
    message = rtnetlink.move_message(plan["parent_index"], plan["name"], pid, new_index=plan["index"])
    try:
        route.request_all([message])
    except OSError as error:
        number = error.errno or errno.EIO
        text = f"failed to move the link {plan['host_name']} of the network driver: {os.strerror(number).lower()}"
        raise OSError(number, text) from error


def move_back(plan: dict[str, Any], namespace: int) -> None:
    """A moved link goes back to the network namespace `namespace`, under its own name.

    To be run in the container's namespace. Raises OSError: ENODEV where it is gone already.
    """
    with Netlink(NETLINK_ROUTE) as inside:
        inside.request_all([rtnetlink.move_message(plan["index"], plan["host_name"], descriptor=namespace)])


def _parented(plan: dict[str, Any], pid: int) -> Message:
    index, name, parent, mode = plan["index"], plan["name"], plan["parent_index"], plan["mode"]
    if plan["kind"] == "macvlan":
        return parented_links.macvlan_message(index, name, parent, mode, _mac(plan["mac"]), pid)
    return parented_links.ipvlan_message(index, name, parent, mode, plan["flag"], pid)


def _patiently(route: Netlink, message: Message, number: int) -> None:
    """Ask again for a while where the kernel refuses with `number`: it takes network namespaces apart after their last process."""
    deadline = time.monotonic() + _GOING_SECONDS
    while True:
        try:
            route.request_all([message])
        except OSError as error:
            if error.errno != number or time.monotonic() > deadline:
                raise
        else:
            return
        time.sleep(_POLL_SECONDS)


def configure_inside(plan: dict[str, Any], proc: int) -> Inside:
    """Loopback up, the link's address, the link up, the default route: the cold start's half inside.

    To be run in the container's namespace. `proc` is a descriptor of a procfs's root, attached or not (whichever:
    the files below `sys/net` are those of the caller's namespace).
    """
    name = plan["name"]
    _settle_sysctls(name, proc, plan["ipv6"])
    _own_sysctls(name, proc, plan["sysctls"])
    inside = Inside(name)
    try:
        if plan["kind"] == "macvlan":
            # No two links of a parent have one hardware address, and an earlier container with this one may have ended just now.
            _patiently(inside.route, rtnetlink.up_message(inside.index), errno.EADDRINUSE)
        inside.route.request_all(
            [
                rtnetlink.up_message(_LOOPBACK),
                *_addresses(plan, inside.index),
                # A moved link has another hardware address where one was wished for; the others were made with theirs.
                rtnetlink.up_message(inside.index, mac=_mac(plan["mac"]) if plan["kind"] == "moved" else b""),
                *_routes(plan, inside.index),
                *_default_routes(plan, inside.index),
            ]
        )
    except BaseException:
        inside.close()
        raise
    return inside


def park_inside(name: str, proc: int, ipv6: bool = False) -> Inside:
    """Loopback and the link up, without an address: a warm slot's half inside. Arguments as for `configure_inside`."""
    _settle_sysctls(name, proc, ipv6)
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
            *_addresses(plan, inside.index),
            rtnetlink.up_message(inside.index, mac=_mac(plan["mac"])),
            *_default_routes(plan, inside.index),
        ]
    )


def lo_up() -> None:
    """Bring up the loopback of the caller's namespace: all that network `none` has."""
    with Netlink(NETLINK_ROUTE) as route:
        route.request_all([rtnetlink.up_message(_LOOPBACK)])


def _addresses(plan: dict[str, Any], index: int) -> list[Message]:
    pairs = [(plan["address"], plan["prefix"]), (plan["address6"], plan["prefix6"])]
    pairs += [(address, 64 if ":" in address else 16) for address in plan["link_local"]]
    return [rtnetlink.address_message(index, packed(address), prefix) for address, prefix in pairs if address]


def _default_routes(plan: dict[str, Any], index: int) -> list[Message]:
    routes = [rtnetlink.default_route_message(packed(plan[name])) for name in ("gateway", "gateway6") if plan[name]]
    families = {4: socket.AF_INET, 6: socket.AF_INET6}
    return routes + [rtnetlink.device_route_message(index, families[version]) for version in plan["straight"]]


def _routes(plan: dict[str, Any], index: int) -> list[Message]:
    found = []
    for network, next_hop in plan["routes"]:
        destination, _, prefix = network.partition("/")
        hop = packed(next_hop) if next_hop else b""
        found.append(rtnetlink.route_message(index, packed(destination), int(prefix), hop))
    return found


def packed(address: str) -> bytes:
    """An address of either family in the kernel's form."""
    return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)


def _settle_sysctls(name: str, proc: int, ipv6: bool) -> None:
    """What must hold before the link `name` comes up."""
    conf = f"sys/net/ipv6/conf/{name}"
    try:
        if ipv6:
            for setting in ("accept_ra", "autoconf", "accept_dad"):
                _write(proc, f"{conf}/{setting}", b"0")
            _write(proc, f"{conf}/ndisc_notify", b"1")
        _write(proc, f"{conf}/disable_ipv6", b"0" if ipv6 else b"1")
    except OSError as error:
        if ipv6 or error.errno != errno.ENOENT:  # a kernel without IPv6, or started with ipv6.disable=1
            raise
    _write(proc, f"sys/net/ipv4/conf/{name}/arp_notify", b"1")


def _own_sysctls(name: str, proc: int, settings: list[list[str]]) -> None:
    """What the end point's creator wants of this interface: `ipv4.conf.IFNAME.forwarding` and its value. Raises OSError."""
    for setting, value in settings:
        kind, group, _, last = setting.split(".", 3)
        path = f"sys/net/{kind}/{group}/{name}/{last}"
        try:
            _write(proc, path, value.encode())
        except FileNotFoundError as error:
            raise OSError(errno.ENOENT, f"/proc/{path} is not a sysctl file") from error


def _write(directory: int, path: str, value: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC, dir_fd=directory)
    try:
        os.write(descriptor, value)
    finally:
        os.close(descriptor)


def _mac(words: str) -> bytes:
    return bytes.fromhex(words.replace(":", ""))
