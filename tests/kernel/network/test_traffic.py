"""Real packets: between containers and the world, by published ports and past them."""

import os
import socket
from collections.abc import Iterator

import pytest

from sampan.kernel import rtnetlink
from sampan.kernel.netlink import NETLINK_ROUTE, Netlink
from sampan.network.networks import Networks
from tests.kernel.network.lab import BRIEF, HOST, NEIGHBOUR, Container, Lab, listening, tcp_reaches, udp_reaches
from tests.requires import requires

pytestmark = requires("root", "netns", "veth", "bridge", "nftables")


def bridge_netfilter(value: str) -> None:
    """Whether bridged IPv4 packets go through the host's rules too: a setting of each network namespace."""
    path = "/proc/sys/net/bridge/bridge-nf-call-iptables"
    if not os.path.exists(path):
        if value == "1":
            pytest.skip("br_netfilter is not loaded")
        return
    with open(path, "w") as file:
        file.write(value)


@pytest.fixture(params=["0", "1"], ids=["routed", "bridge-netfilter"])
def networks(lab: Lab, request: pytest.FixtureRequest) -> Networks:
    bridge_netfilter(request.param)
    return lab.open()


@pytest.fixture
def container(networks: Networks) -> Iterator[Container]:
    made = Container(networks)
    yield made
    made.end()


def test_out_and_in_without_ports(lab: Lab, container: Container) -> None:
    outside = listening(lab.neighbour, 7000)
    host = listening(lab.host, 7001)
    inside = listening(container.namespace, 7002)
    assert tcp_reaches(container.namespace, (NEIGHBOUR, 7000), outside) == HOST  # masqueraded
    assert tcp_reaches(container.namespace, (container.endpoint.gateway, 7001), host) == container.address
    assert tcp_reaches(lab.host, (container.address, 7002), inside) == container.endpoint.gateway
    # Straight to the container, although the neighbour has a route there.
    assert tcp_reaches(lab.neighbour, (container.address, 7002), inside, patience=BRIEF) is None


def test_published_tcp_from_everywhere(lab: Lab, container: Container) -> None:
    inside = listening(container.namespace, 80)
    container.publish(tcp80="0.0.0.0:8080")
    assert tcp_reaches(lab.host, ("127.0.0.1", 8080), inside) == container.endpoint.gateway
    assert tcp_reaches(lab.host, (HOST, 8080), inside) == HOST
    assert tcp_reaches(lab.neighbour, (HOST, 8080), inside) == NEIGHBOUR
    # A container at its own published port.
    assert tcp_reaches(container.namespace, (HOST, 8080), inside) == container.endpoint.gateway
    assert tcp_reaches(container.namespace, (container.endpoint.gateway, 8080), inside) is not None


def test_published_udp_from_everywhere(lab: Lab, container: Container) -> None:
    inside = container.namespace.socket(socket.SOCK_DGRAM, "", 53)
    container.publish(udp53="0.0.0.0:5353")
    assert udp_reaches(lab.host, ("127.0.0.1", 5353), inside) == container.endpoint.gateway
    assert udp_reaches(lab.host, (HOST, 5353), inside) == HOST
    assert udp_reaches(lab.neighbour, (HOST, 5353), inside) == NEIGHBOUR
    assert udp_reaches(container.namespace, (HOST, 5353), inside) is not None


def test_neighbouring_containers(lab: Lab, container: Container, networks: Networks) -> None:
    other = Container(networks)
    inside = listening(container.namespace, 80)
    container.publish(tcp80="0.0.0.0:8080")
    assert tcp_reaches(other.namespace, (container.address, 80), inside) == other.address
    assert tcp_reaches(other.namespace, (HOST, 8080), inside) == container.endpoint.gateway
    other.end()


@pytest.mark.parametrize("netfilter", ["0", "1"])
def test_icc_off(lab: Lab, netfilter: str) -> None:
    bridge_netfilter(netfilter)
    networks = lab.open(icc=False)
    one, two = Container(networks), Container(networks)
    inside = listening(one.namespace, 80)
    outside = listening(lab.neighbour, 7000)
    one.publish(tcp80="0.0.0.0:8080")
    assert tcp_reaches(two.namespace, (one.address, 80), inside, patience=BRIEF) is None
    # Where the kernel translates in the bridge's path, an isolated port shuts this way too (docs/networking.md).
    is_open = netfilter == "0"
    patience = 4 if is_open else BRIEF
    assert (tcp_reaches(two.namespace, (HOST, 8080), inside, patience=patience) is not None) == is_open
    assert tcp_reaches(two.namespace, (NEIGHBOUR, 7000), outside) == HOST
    assert tcp_reaches(lab.host, (one.address, 80), inside) is not None
    one.end()
    two.end()


@pytest.mark.parametrize("netfilter", ["0", "1"])
def test_icc_off_and_linked(lab: Lab, netfilter: str) -> None:
    bridge_netfilter(netfilter)
    networks = lab.open(icc=False)
    parent, child, other = Container(networks), Container(networks), Container(networks)
    exposed, hidden = listening(child.namespace, 80), listening(child.namespace, 81)
    names = child.namespace.socket(socket.SOCK_DGRAM, "", 53)
    back = listening(parent.namespace, 80)

    def reached(patience: float = 4) -> list[str | None]:
        return [
            tcp_reaches(parent.namespace, (child.address, 80), exposed, patience=patience),
            udp_reaches(parent.namespace, (child.address, 53), names, patience=patience),
        ]

    assert reached(BRIEF) == [None, None]
    networks.link(parent.endpoint, child.endpoint, [(80, "tcp"), (53, "udp"), (9, "sctp")])
    assert reached() == [parent.address] * 2
    assert tcp_reaches(parent.namespace, (child.address, 81), hidden, patience=BRIEF) is None, (
        "only what the child exposes"
    )
    assert tcp_reaches(other.namespace, (child.address, 80), exposed, patience=BRIEF) is None, "and to its parent alone"
    assert tcp_reaches(child.namespace, (parent.address, 80), back, patience=BRIEF) is None, "in one direction"
    networks.open()
    assert reached() == [parent.address] * 2, "the table made anew has it, too"
    networks.unlink(parent.endpoint, child.endpoint)
    assert reached(BRIEF) == [None, None]
    networks.link(parent.endpoint, child.endpoint, [(80, "tcp")])
    networks.release(child.endpoint)
    assert tcp_reaches(parent.namespace, (child.address, 80), exposed, patience=BRIEF) is None, (
        "it goes with either address"
    )
    networks.adopt(child.endpoint)


def test_published_on_loopback_only(lab: Lab, container: Container) -> None:
    inside = listening(container.namespace, 80)
    container.publish(tcp80="127.0.0.1:8080")
    assert tcp_reaches(lab.host, ("127.0.0.1", 8080), inside) is not None
    assert tcp_reaches(lab.host, (HOST, 8080), inside, patience=BRIEF) is None
    assert tcp_reaches(lab.neighbour, (HOST, 8080), inside, patience=BRIEF) is None
    # A neighbour that sends loopback addresses on the wire (moby#45610, CVE-2020-8558).
    _route_loopback_to_host(lab)
    assert tcp_reaches(lab.neighbour, ("127.0.0.1", 8080), inside, NEIGHBOUR, patience=BRIEF) is None


def test_loopback_services_of_the_host_stay_its_own(lab: Lab, container: Container) -> None:
    private = listening(lab.host, 7001, "127.0.0.1")
    assert tcp_reaches(lab.host, ("127.0.0.1", 7001), private) == "127.0.0.1"
    _route_loopback_to_host(lab)
    assert tcp_reaches(lab.neighbour, ("127.0.0.1", 7001), private, NEIGHBOUR, patience=BRIEF) is None
    with container.namespace.entered():
        _loopback_off()
    assert tcp_reaches(container.namespace, ("127.0.0.1", 7001), private, container.address, patience=BRIEF) is None


def test_others_traffic_to_the_same_port_is_left_alone(lab: Lab, container: Container) -> None:
    """CVE-2025-67499: a published port is one of the host's addresses, not of whatever passes through."""
    inside = listening(container.namespace, 80)
    outside = listening(lab.neighbour, 8080)
    container.publish(tcp80="0.0.0.0:8080")
    assert tcp_reaches(container.namespace, (NEIGHBOUR, 8080), outside) == HOST
    assert tcp_reaches(lab.host, (NEIGHBOUR, 8080), outside) == HOST
    assert tcp_reaches(lab.neighbour, (HOST, 8080), inside) is not None


def test_a_container_does_not_pass_for_the_host(lab: Lab, container: Container) -> None:
    """`route_localnet` takes away the kernel's own check of loopback addresses as a source."""
    service = lab.host.socket(socket.SOCK_DGRAM, "", 7001)
    with container.namespace.entered():
        for name in ("all", "eth0"):
            with open(f"/proc/sys/net/ipv4/conf/{name}/route_localnet", "w") as file:
                file.write("1")
        with Netlink(NETLINK_ROUTE) as route:
            eth0 = socket.if_nametoindex("eth0")
            route.request_all([rtnetlink.address_message(eth0, socket.inet_aton("127.0.0.2"), 32)])
    for source in (container.address, "127.0.0.2"):
        client = container.namespace.socket(socket.SOCK_DGRAM, source)
        client.sendto(source.encode(), (container.endpoint.gateway, 7001))
    service.settimeout(0.5)
    assert service.recvfrom(100)[0].decode() == container.address
    with pytest.raises(TimeoutError):
        service.recv(100)


def test_a_known_udp_flow_follows_the_port(lab: Lab, networks: Networks) -> None:
    """A client that keeps its source port must not go on talking to the container that had the port before."""
    client = lab.neighbour.socket(socket.SOCK_DGRAM, NEIGHBOUR, 4000)
    client.connect((HOST, 5353))
    with lab.host.socket(socket.SOCK_DGRAM, "", 5353) as early:
        client.send(b"too early")  # the flow is known before the port is published
        early.settimeout(5)
        assert early.recv(100) == b"too early"
    first = Container(networks)
    inside = first.namespace.socket(socket.SOCK_DGRAM, "", 53)
    first.publish(udp53="0.0.0.0:5353")
    _send(client, b"one")
    assert inside.recvfrom(100)[0] == b"one"
    first.end()
    other, second = Container(networks), Container(networks)
    assert second.address != first.address
    there = second.namespace.socket(socket.SOCK_DGRAM, "", 53)
    second.publish(udp53="0.0.0.0:5353")
    _send(client, b"two")
    assert there.recvfrom(100)[0] == b"two"
    other.end()
    second.end()


def test_a_port_that_is_taken_back_is_closed(lab: Lab, networks: Networks) -> None:
    first = Container(networks)
    inside = listening(first.namespace, 80)
    first.publish(tcp80="0.0.0.0:8080")
    assert tcp_reaches(lab.neighbour, (HOST, 8080), inside) is not None
    networks.release(first.endpoint, first.published.forwards)
    first.published.close()
    assert tcp_reaches(lab.neighbour, (HOST, 8080), inside, patience=BRIEF) is None
    first.end()


def _send(client: socket.socket, data: bytes) -> None:
    try:
        client.send(data)
    except ConnectionRefusedError:
        client.send(data)  # the answer to an earlier datagram


def _loopback_off() -> None:
    """Send 127.0.0.1 to the gateway instead of to oneself."""
    with Netlink(NETLINK_ROUTE) as route:
        route.request_all([rtnetlink.remove_address_message(1, socket.inet_aton("127.0.0.1"), 8)])
    for name in ("all", "eth0"):
        with open(f"/proc/sys/net/ipv4/conf/{name}/route_localnet", "w") as file:
            file.write("1")


def _route_loopback_to_host(lab: Lab) -> None:
    with lab.neighbour.entered():
        with Netlink(NETLINK_ROUTE) as route:
            route.request_all([rtnetlink.remove_address_message(1, socket.inet_aton("127.0.0.1"), 8)])
        for name in ("all", "wire"):
            with open(f"/proc/sys/net/ipv4/conf/{name}/route_localnet", "w") as file:
                file.write("1")
