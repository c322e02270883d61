"""User networks and the hosts around: a neighbour that routes to containers, and a client behind a router, in both families."""

import os
import socket
import subprocess
from collections.abc import Iterator

import pytest

from sampan.kernel import rtnetlink
from sampan.kernel.netlink import NETLINK_ROUTE, Netlink
from sampan.network import attach
from sampan.spec.networks import IPAM, IPAMConfig
from tests.kernel.network.lab import (
    BRIEF,
    HOST,
    HOST6,
    NEIGHBOUR,
    NEIGHBOUR6,
    Container,
    Lab,
    Namespace,
    listening,
    new_namespace,
    tcp_reaches,
    udp_reaches,
)
from tests.requires import requires

pytestmark = requires("root", "netns", "veth", "bridge", "nftables")

FAR = {4: "10.98.0.2", 6: "fd98::2"}
ROUTER = {4: "10.98.0.1", 6: "fd98::1"}
WIRE = {4: (HOST, NEIGHBOUR), 6: (HOST6, NEIGHBOUR6)}
ANY = {4: "", 6: "::"}


@pytest.fixture
def far(lab: Lab) -> Iterator[Namespace]:
    """A host behind the neighbour, which is a router for it; our host knows the way back."""
    made = new_namespace()
    with lab.neighbour.entered():
        with Netlink(NETLINK_ROUTE) as route:
            route.request_all([rtnetlink.veth_message("down", 0, 1500, "up", b"", descriptor=made.descriptor)])
        _address("down", *ROUTER.values())
        for name in ("ipv4/ip_forward", "ipv6/conf/all/forwarding"):
            with open(f"/proc/sys/net/{name}", "w") as file:
                file.write("1")
    with made.entered():
        _address("up", *FAR.values())
        with Netlink(NETLINK_ROUTE) as route:
            route.request_all([rtnetlink.default_route_message(attach.packed(one)) for one in ROUTER.values()])
    for version, subnet in ((4, "10.98.0.0/24"), (6, "fd98::/64")):
        subprocess.run(["ip", "route", "add", subnet, "via", WIRE[version][1]], check=True)
    yield made
    os.close(made.descriptor)


def _address(link: str, *addresses: str) -> None:
    index = socket.if_nametoindex(link)
    with open(f"/proc/sys/net/ipv6/conf/{link}/accept_dad", "w") as file:
        file.write("0")
    with Netlink(NETLINK_ROUTE) as route:
        for address in addresses:
            prefix = 64 if ":" in address else 24
            route.request_all([rtnetlink.address_message(index, attach.packed(address), prefix)])
        route.request_all([rtnetlink.up_message(index)])


@pytest.fixture
def container(lab: Lab) -> Iterator[Container]:
    with open("/proc/sys/net/ipv4/ip_forward", "w") as file:  # a new namespace has it as the host does
        file.write("0")
    networks = lab.open()
    pools = (IPAMConfig(subnet="10.97.0.0/24"), IPAMConfig(subnet="fd97::/64"))
    lab.create("mine", enable_ipv6=True, ipam=IPAM(config=pools))
    made = Container(networks, "mine")
    yield made
    made.end()


def own(container: Container, version: int) -> str:
    return container.address if version == 4 else container.address6


@pytest.mark.parametrize("version", [4, 6])
def test_what_is_not_published_is_reached_by_no_route(
    lab: Lab, far: Namespace, container: Container, version: int
) -> None:
    inside = listening(container.namespace, 81, ANY[version])
    names = container.namespace.socket(socket.SOCK_DGRAM, ANY[version], 54)
    container.publish(tcp80=":8080", udp53=":5353")
    published = listening(container.namespace, 80, ANY[version])
    for client in (lab.neighbour, far):
        assert tcp_reaches(client, (own(container, version), 81), inside, patience=BRIEF) is None
        assert udp_reaches(client, (own(container, version), 54), names, patience=BRIEF) is None
        # Nor what is, by another way than the one it is published by.
        assert tcp_reaches(client, (own(container, version), 80), published, patience=BRIEF) is None
        assert tcp_reaches(client, (container.endpoint.gateway, 81), inside, patience=BRIEF) is None


@pytest.mark.parametrize("version", [4, 6])
def test_what_is_published_sees_its_clients(lab: Lab, far: Namespace, container: Container, version: int) -> None:
    host, neighbour = WIRE[version]
    inside = listening(container.namespace, 80, ANY[version])
    names = container.namespace.socket(socket.SOCK_DGRAM, ANY[version], 53)
    container.publish(tcp80=":8080", udp53=":5353")
    assert tcp_reaches(lab.neighbour, (host, 8080), inside) == neighbour
    assert tcp_reaches(far, (host, 8080), inside) == FAR[version]
    assert udp_reaches(far, (host, 5353), names) == FAR[version]
    outside = listening(far, 7000, ANY[version])
    assert tcp_reaches(container.namespace, (FAR[version], 7000), outside) == host


@pytest.mark.parametrize("version", [4, 6])
def test_the_host_is_no_router_for_its_neighbours(lab: Lab, far: Namespace, container: Container, version: int) -> None:
    """Forwarding was off before there was a network: it is for bridges only."""
    assert container.endpoint.address
    other = new_namespace()
    with Netlink(NETLINK_ROUTE) as route:
        route.request_all([rtnetlink.veth_message("side", 0, 1500, "side", b"", descriptor=other.descriptor)])
    _address("side", "10.96.0.1", "fd96::1")
    with other.entered():
        _address("side", "10.96.0.2", "fd96::2")
        with Netlink(NETLINK_ROUTE) as route:
            gateways = ("10.96.0.1", "fd96::1")
            route.request_all([rtnetlink.default_route_message(attach.packed(one)) for one in gateways])
    service = listening(lab.neighbour, 7000, ANY[version])
    reached = tcp_reaches(other, (WIRE[version][1], 7000), service)
    os.close(other.descriptor)
    assert reached is None
