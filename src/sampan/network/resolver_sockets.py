"""The resolver's end inside a container: two sockets on 127.0.0.11, and rules that lead port 53 of it to them.

The sockets have ports of the kernel's choice, because the image may bind 0.0.0.0:53 itself. The rules stand in a table of the
container's own network namespace and go with it.

Loaded by the launcher.
"""

from __future__ import annotations

import errno
import socket

from sampan.kernel import nftables as nft
from sampan.kernel import nftables_rules as say
from sampan.kernel.netlink import NETLINK_NETFILTER, Netlink
from sampan.kernel.nftables import Family, Hook

ADDRESS = "127.0.0.11"
_TABLE = "sampan-names"
_PORT = 53
_DSTNAT = -100
_BACKLOG = 16
_TRIES = 16


def open_here() -> tuple[socket.socket, socket.socket]:
    """UDP and TCP sockets in the caller's network namespace, with the rules that lead to them; earlier rules of ours go.

    Raises OSError.
    """
    udp, tcp = _pair()
    try:
        tcp.listen(_BACKLOG)
        with Netlink(NETLINK_NETFILTER) as netfilter:
            _lead(netfilter, udp.getsockname()[1], tcp.getsockname()[1])
    except BaseException:
        udp.close()
        tcp.close()
        raise
    return udp, tcp


def _pair() -> tuple[socket.socket, socket.socket]:
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
    tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
    try:
        udp.bind((ADDRESS, 0))
        tcp.bind((ADDRESS, 0))
    except BaseException:
        udp.close()
        tcp.close()
        raise
    return udp, tcp


def _lead(netfilter: Netlink, udp_port: int, tcp_port: int) -> None:
    family, address = Family.IPV4, socket.inet_aton(ADDRESS)
    # Only where it is there: a socket that has removed a table waits 10 ms for RCU when it is closed.
    messages = [nft.delete_table_message(family, _TABLE)] if nft.has_table(netfilter, family, _TABLE) else []
    messages += [
        nft.table_message(family, _TABLE, "names of this container's networks; Sampan's resolver"),
        nft.base_chain_message(family, _TABLE, "output", "nat", Hook.OUTPUT, _DSTNAT),
    ]
    for protocol, port in ((socket.IPPROTO_UDP, udp_port), (socket.IPPROTO_TCP, tcp_port)):
        rule = [say.destination(address), say.redirect(protocol, _PORT, address, port)]
        messages.append(nft.rule_message(family, _TABLE, "output", rule))
    for attempt in range(_TRIES):
        try:
            nft.commit(netfilter, messages)
        except OSError as error:
            if error.errno != errno.EAGAIN or attempt == _TRIES - 1:
                raise
            continue
        return
