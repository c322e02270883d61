"""Answers of containers to callers for whom a proxy speaks under their own address: they come back to the proxy, not to the caller.

    caller 198.51.100.7 ──▶ socket outside ── sampan-net ── socket bound to 198.51.100.7 (IP_TRANSPARENT) ──▶ container
    container ── to 198.51.100.7 ──▶ bridge ── rule: `socket transparent` gets a mark ── routing: marked is local ──▶ sampan-net

Without this a container would see every caller of a rootless daemon's ports under one address (CVE-2021-20199). Only in a network
namespace of a daemon's own: the mark and the table of routes are then nobody else's.
"""

from __future__ import annotations

import errno
import socket
from typing import TYPE_CHECKING

from sampan.kernel import nftables as nft
from sampan.kernel import policy_routing
from sampan.kernel.nftables_rules import mark, transparent_socket

if TYPE_CHECKING:
    from sampan.kernel.netlink import Netlink

MARK = 0x53414D50
_TABLE = "sampan-as-caller"
_CHAIN = "answers"
_ROUTES = 100
_PRIORITY = 100
_BEFORE_NAT = -150
"""Of the hook's `mangle`: what is marked there is seen by the choice of a route."""
_FAMILIES = ((nft.Family.IPV4, socket.AF_INET), (nft.Family.IPV6, socket.AF_INET6))


def open_way_back(route: Netlink, netfilter: Netlink) -> None:
    """Set up the way back; again is allowed. Raises OSError, where the kernel lacks a part of it for IPv4."""
    for family, number in _FAMILIES:
        try:
            _open(route, netfilter, family, number)
        except OSError:
            if family is nft.Family.IPV4:
                raise
            # A kernel without IPv6.


def _open(route: Netlink, netfilter: Netlink, family: nft.Family, number: socket.AddressFamily) -> None:
    messages = [nft.table_message(family, _TABLE)]
    if nft.has_table(netfilter, family, _TABLE):
        messages.append(nft.delete_table_message(family, _TABLE))
        messages.append(nft.table_message(family, _TABLE))
    messages.append(nft.base_chain_message(family, _TABLE, _CHAIN, "filter", nft.Hook.PREROUTING, _BEFORE_NAT))
    messages.append(nft.rule_message(family, _TABLE, _CHAIN, [transparent_socket(), mark(MARK)]))
    nft.commit(netfilter, messages)
    route.request_all([policy_routing.everything_local_message(number, _ROUTES)])
    try:
        route.request_all([policy_routing.mark_rule_message(number, MARK, _ROUTES, _PRIORITY)])
    except OSError as error:
        if error.errno != errno.EEXIST:
            raise
