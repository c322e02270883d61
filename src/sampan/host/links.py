"""Probes of networking, each in a network namespace of its own: links, nftables, connection tracking; the host's switches."""

from __future__ import annotations

import os
import socket
import struct
from typing import TYPE_CHECKING

from sampan.host.finding import Lacking, Probe
from sampan.kernel.namespaces import Clone, unshare
from sampan.kernel.netlink import Netlink, attribute, nested, text

if TYPE_CHECKING:
    from sampan.kernel.netlink import Message

_RTM_NEWLINK, _RTM_DELLINK = 16, 17
_CREATE, _EXCLUSIVE = 0x400, 0x200
_IFLA_IFNAME, _IFLA_LINK, _IFLA_LINKINFO, _IFLA_INFO_KIND = 3, 5, 18, 1
_LOOPBACK_INDEX = 1

_NETLINK_NETFILTER = 12
_NFNL_BATCH_BEGIN, _NFNL_BATCH_END = 0x10, 0x11
_NFNL_SUBSYS_NFTABLES = 10
_NFT_NEWTABLE, _NFT_NEWCHAIN = 0, 3
_NFTA_TABLE_NAME, _NFTA_CHAIN_TABLE, _NFTA_CHAIN_NAME, _NFTA_CHAIN_HOOK, _NFTA_CHAIN_TYPE = 1, 1, 3, 4, 7
_NFTA_HOOK_HOOKNUM, _NFTA_HOOK_PRIORITY = 1, 2
_NF_INET_POST_ROUTING, _SOURCE_NAT_PRIORITY = 4, 100


def _link(kind: str) -> str:
    """RTM_NEWLINK for an interface of this kind; it goes with the namespace."""
    unshare(Clone.NEWNET)
    with Netlink(socket.NETLINK_ROUTE) as route:
        head = struct.pack("=BxHiII", socket.AF_UNSPEC, 0, 0, 0, 0)
        body = head + text(_IFLA_IFNAME, "probe0") + nested(_IFLA_LINKINFO, text(_IFLA_INFO_KIND, kind))
        route.request(_RTM_NEWLINK, _CREATE | _EXCLUSIVE, body, f"link add type {kind}")
    return ""


def _link_on(kind: str) -> str:
    """The same for a kind that needs a link below it: a dummy, or one end of a pair."""
    unshare(Clone.NEWNET)
    with Netlink(socket.NETLINK_ROUTE) as route:
        head = struct.pack("=BxHiII", socket.AF_UNSPEC, 0, 0, 0, 0)
        below = head + text(_IFLA_IFNAME, "below") + nested(_IFLA_LINKINFO, text(_IFLA_INFO_KIND, "veth"))
        route.request(_RTM_NEWLINK, _CREATE | _EXCLUSIVE, below, "link add type veth")
        index = struct.pack("=I", socket.if_nametoindex("below"))
        info = nested(_IFLA_LINKINFO, text(_IFLA_INFO_KIND, kind))
        body = head + text(_IFLA_IFNAME, "probe0") + attribute(_IFLA_LINK, index) + info
        route.request(_RTM_NEWLINK, _CREATE | _EXCLUSIVE, body, f"link add type {kind}")
    return ""


def _nftables() -> str:
    """A table with a chain that translates addresses, in one batch."""
    unshare(Clone.NEWNET)
    _nat_chain()
    return ""


def _nat_chain() -> None:
    family = struct.pack("=BBH", socket.AF_INET, 0, 0)
    edge = struct.pack(">BBH", 0, 0, _NFNL_SUBSYS_NFTABLES)
    hook = nested(
        _NFTA_CHAIN_HOOK,
        attribute(_NFTA_HOOK_HOOKNUM, struct.pack(">I", _NF_INET_POST_ROUTING)),
        attribute(_NFTA_HOOK_PRIORITY, struct.pack(">i", _SOURCE_NAT_PRIORITY)),
    )
    chain = family + text(_NFTA_CHAIN_TABLE, "probe") + text(_NFTA_CHAIN_NAME, "probe") + hook
    messages: tuple[Message, ...] = (
        (_NFNL_SUBSYS_NFTABLES << 8 | _NFT_NEWTABLE, _CREATE, family + text(_NFTA_TABLE_NAME, "probe"), "add table"),
        (_NFNL_SUBSYS_NFTABLES << 8 | _NFT_NEWCHAIN, _CREATE, chain + text(_NFTA_CHAIN_TYPE, "nat"), "add chain"),
    )
    with Netlink(_NETLINK_NETFILTER) as netfilter:
        netfilter.transact((_NFNL_BATCH_BEGIN, 0, edge, "begin"), messages, (_NFNL_BATCH_END, 0, edge, "end"))


def _connection_tracking() -> str:
    unshare(Clone.NEWNET)
    _nat_chain()
    path = "/proc/sys/net/netfilter/nf_conntrack_max"
    if not os.path.exists(path):
        raise Lacking("nf_conntrack is not loaded")
    with open(path, encoding="ascii") as file:
        return f"at most {file.read().strip()} connections"


def _bridge_netfilter() -> str:
    if not os.path.exists("/proc/sys/net/bridge/bridge-nf-call-iptables"):
        raise Lacking("the module br_netfilter is not loaded")
    return ""


def _forwarding() -> str:
    with open("/proc/sys/net/ipv4/ip_forward", encoding="ascii") as file:
        if file.read().strip() == "1":
            return "on"
    raise Lacking("off: the engine switches it on with its first bridge")


_MODULE = "load the module {} (modprobe {})"

PROBES = (
    Probe("bridge", "network", lambda: _link("bridge"), _MODULE.format("bridge", "bridge")),
    Probe("veth", "network", lambda: _link("veth"), _MODULE.format("veth", "veth")),
    Probe("macvlan", "network", lambda: _link_on("macvlan"), _MODULE.format("macvlan", "macvlan")),
    Probe("ipvlan", "network", lambda: _link_on("ipvlan"), _MODULE.format("ipvlan", "ipvlan")),
    Probe("nftables", "network", _nftables, "published ports and NAT need nf_tables and nft_chain_nat"),
    Probe("connection tracking", "network", _connection_tracking, "NAT needs nf_conntrack"),
    Probe("bridge netfilter", "network", _bridge_netfilter, "only rules of others that filter inside a bridge need it"),
    Probe("ip forwarding", "network", _forwarding, "sysctl net.ipv4.ip_forward=1"),
)
