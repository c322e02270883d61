"""Flows that the kernel remembers: those of a port are forgotten, all others stay."""

import os
import socket
from collections.abc import Iterator

import pytest

from sampan.kernel import conntrack
from sampan.kernel import nftables as nft
from sampan.kernel import nftables_rules as say
from sampan.kernel.netlink import NETLINK_NETFILTER, Netlink
from tests.kernel.network.lab import NEIGHBOUR, NEIGHBOUR6, Lab, listening
from tests.requires import requires

pytestmark = requires("root", "netns", "nftables")

IPV4, IPV6 = socket.AF_INET, socket.AF_INET6
UDP, TCP = socket.IPPROTO_UDP, socket.IPPROTO_TCP


@pytest.fixture
def netfilter(lab: Lab) -> Iterator[Netlink]:
    with Netlink(NETLINK_NETFILTER) as made:
        # A rule that asks for the state is what makes the kernel remember flows.
        rule = (say.connection_state(say.CtState.NEW), say.verdict(nft.Verdict.ACCEPT))
        for family in (nft.Family.IPV4, nft.Family.IPV6):
            nft.commit(
                made,
                [
                    nft.table_message(family, "watch"),
                    nft.base_chain_message(family, "watch", "out", "filter", nft.Hook.OUTPUT, 0),
                    nft.rule_message(family, "watch", "out", rule),
                ],
            )
        yield made


def known() -> list[tuple[str, int]]:
    """(protocol, port) of each flow, from the other side: the kernel's own listing."""
    path = "/proc/thread-self/net/nf_conntrack"
    if not os.path.exists(path):
        pytest.skip("this kernel does not list its flows in /proc")
    with open(path) as file:
        lines = [line.split() for line in file]
    first = [next(word for word in line if word.startswith("dport=")) for line in lines]
    return sorted((line[2], int(port[6:])) for line, port in zip(lines, first, strict=True))


def test_flows_to_some_ports(lab: Lab, netfilter: Netlink) -> None:
    for port in (53, 54, 55, 53):
        lab.host.socket(socket.SOCK_DGRAM).sendto(b"x", (NEIGHBOUR, port))
    listening(lab.neighbour, 53)
    lab.host.socket(socket.SOCK_STREAM).connect((NEIGHBOUR, 53))
    assert known() == [("tcp", 53), ("udp", 53), ("udp", 53), ("udp", 54), ("udp", 55)]
    assert conntrack.delete_to_ports(netfilter, UDP, {IPV4: {53}}) == 2
    assert known() == [("tcp", 53), ("udp", 54), ("udp", 55)]
    assert conntrack.delete_to_ports(netfilter, UDP, {IPV4: {53, 54, 55}}) == 2
    assert known() == [("tcp", 53)]
    assert conntrack.delete_to_ports(netfilter, TCP, {IPV4: {54}}) == 0


@pytest.mark.parametrize("few", [1000, 0])
def test_both_families_at_once(lab: Lab, netfilter: Netlink, few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether they are looked through here or selected by the kernel, the same go."""
    monkeypatch.setattr(conntrack, "_FEW", few)
    for port in (53, 54):
        lab.host.socket(socket.SOCK_DGRAM).sendto(b"x", (NEIGHBOUR, port))
        lab.host.socket(socket.SOCK_DGRAM, "::").sendto(b"x", (NEIGHBOUR6, port))
    assert known() == [("udp", 53), ("udp", 53), ("udp", 54), ("udp", 54)]
    assert conntrack.delete_to_ports(netfilter, UDP, {IPV4: {53}, IPV6: {53, 54}}) == 3
    assert known() == [("udp", 54)]
    assert conntrack.delete_to_ports(netfilter, UDP, {IPV4: set(), IPV6: {53}}) == 0
