"""Callers with a route to a container: by interfaces that its network trusts, by all with allow-direct-routing; and what goes out.

The lab's neighbour has a default route by the host, so that a container's own address is one that it can send to.
"""

import os
import socket
import subprocess
from collections.abc import Iterator

import pytest

from sampan.kernel import rtnetlink
from sampan.kernel.netlink import NETLINK_ROUTE, Netlink
from sampan.network import attach
from sampan.network.definition import (
    GATEWAY_MODE,
    GATEWAY_MODE6,
    HOST_IPV4,
    HOST_IPV6,
    INHIBIT_IPV4,
    TRUSTED,
    NetworkDefinition,
)
from sampan.network.firewall_mark import FirewallMark
from sampan.network.networks import Networks
from sampan.network.options import NetworkOptions
from sampan.spec.ids import InstanceId
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

pytestmark = requires("root", "netns", "veth", "bridge", "nftables", "nft", "ip")

WIRE = {4: (HOST, NEIGHBOUR), 6: (HOST6, NEIGHBOUR6)}
ANY = {4: "", 6: "::"}
POOLS = (IPAMConfig(subnet="10.97.0.0/24"), IPAMConfig(subnet="fd97::/64"))


@pytest.fixture
def side(lab: Lab) -> Iterator[Namespace]:
    """A second neighbour, on a wire of its own."""
    made = new_namespace()
    with Netlink(NETLINK_ROUTE) as route:
        route.request_all([rtnetlink.veth_message("side", 0, 1500, "side", b"", descriptor=made.descriptor)])
    _address("side", "10.96.0.1", "fd96::1")
    with made.entered():
        _address("side", "10.96.0.2", "fd96::2")
        with Netlink(NETLINK_ROUTE) as route:
            gateways = ("10.96.0.1", "fd96::1")
            route.request_all([rtnetlink.default_route_message(attach.packed(one)) for one in gateways])
    yield made
    os.close(made.descriptor)


def _address(link: str, *addresses: str) -> None:
    with open(f"/proc/sys/net/ipv6/conf/{link}/accept_dad", "w") as file:
        file.write("0")
    with Netlink(NETLINK_ROUTE) as route:
        index = socket.if_nametoindex(link)
        for address in addresses:
            prefix = 64 if ":" in address else 24
            route.request_all([rtnetlink.address_message(index, attach.packed(address), prefix)])
        route.request_all([rtnetlink.up_message(index)])


def own(container: Container, version: int) -> str:
    return container.address if version == 4 else container.address6


@pytest.mark.parametrize("version", [4, 6])
def test_published_ports_by_trusted_interfaces_alone(lab: Lab, side: Namespace, version: int) -> None:
    networks = lab.open()
    lab.create("mine", enable_ipv6=True, ipam=IPAM(config=POOLS), options={TRUSTED: "wire:absent0"})
    lab.create("other", enable_ipv6=True, options={TRUSTED: "side"})
    container, stranger = Container(networks, "mine"), Container(networks, "other")
    where = "127.0.0.1" if version == 4 else HOST6
    container.publish(tcp80=f"{where}:8080", udp53=f"{where}:5353")
    inside = listening(container.namespace, 80, ANY[version])
    names = container.namespace.socket(socket.SOCK_DGRAM, ANY[version], 53)
    closed = listening(container.namespace, 81, ANY[version])
    target = own(container, version)
    # A port of the loopback's is reached from where it is trusted, and the caller is seen.
    assert tcp_reaches(lab.neighbour, (target, 80), inside) == WIRE[version][1]
    assert udp_reaches(lab.neighbour, (target, 53), names) == WIRE[version][1]
    assert tcp_reaches(lab.neighbour, (target, 81), closed, patience=BRIEF) is None
    # By no other interface, not even by one that another network trusts, and not from another network.
    assert tcp_reaches(side, (target, 80), inside, patience=BRIEF) is None
    assert udp_reaches(side, (target, 53), names, patience=BRIEF) is None
    assert tcp_reaches(stranger.namespace, (target, 80), inside, patience=BRIEF) is None
    # What is taken back is closed.
    networks.withdraw(list(container.published.forwards))
    assert tcp_reaches(lab.neighbour, (target, 80), inside, patience=BRIEF) is None


@pytest.mark.parametrize("version", [4, 6])
def test_allow_direct_routing(lab: Lab, side: Namespace, version: int) -> None:
    networks = lab.open(allow_direct_routing=True)
    lab.create("mine", enable_ipv6=True, ipam=IPAM(config=POOLS))
    lab.create("shut", enable_ipv6=True, internal=True)
    container, shut = Container(networks, "mine"), Container(networks, "shut")
    container.publish(tcp80=f"{WIRE[version][0]}:8080")
    inside, closed = (listening(container.namespace, port, ANY[version]) for port in (80, 81))
    hidden = listening(shut.namespace, 80, ANY[version])
    for client in (lab.neighbour, side):
        assert tcp_reaches(client, (own(container, version), 80), inside) is not None
        assert tcp_reaches(client, (own(container, version), 81), closed, patience=BRIEF) is None
        assert tcp_reaches(client, (own(shut, version), 80), hidden, patience=BRIEF) is None
    assert tcp_reaches(lab.neighbour, (WIRE[version][0], 8080), inside) == WIRE[version][1]


@pytest.mark.parametrize("version", [4, 6])
def test_what_is_marked_reaches_every_port(lab: Lab, version: int) -> None:
    networks = lab.open(accepted_mark=FirewallMark(2, 3))
    lab.create(
        "mine", enable_ipv6=True, ipam=IPAM(config=POOLS), options={GATEWAY_MODE: "routed", GATEWAY_MODE6: "routed"}
    )
    lab.create("shut", enable_ipv6=True, internal=True)
    container, shut = Container(networks, "mine"), Container(networks, "shut")
    closed = listening(container.namespace, 81, ANY[version])
    hidden = listening(shut.namespace, 81, ANY[version])
    for mark, reached in ((1, None), (6, WIRE[version][1])):
        # By the host's own rules, before they are routed.
        chain = "{ type filter hook prerouting priority mangle; }"
        rule = f"add rule inet host marks iifname wire meta mark set {mark}"
        subprocess.run(["nft", f"add table inet host; add chain inet host marks {chain}; {rule}"], check=True)
        assert tcp_reaches(lab.neighbour, (own(container, version), 81), closed) == reached
        assert tcp_reaches(lab.neighbour, (own(shut, version), 81), hidden, patience=BRIEF) is None
        subprocess.run(["nft", "delete", "table", "inet", "host"], check=True)
    assert not networks.verify()  # what is there is what should be


def test_one_port_published_twice_stays_open_for_the_other(lab: Lab) -> None:
    networks = lab.open(allow_direct_routing=True)
    container = Container(networks)
    inside = listening(container.namespace, 80)
    container.publish(tcp80="127.0.0.1:8080")
    first = container.published
    container.publish(tcp80="127.0.0.1:8081")
    second = container.published
    for published, reached in ((first, NEIGHBOUR), (second, None)):
        networks.withdraw(list(published.forwards))
        published.close()
        assert tcp_reaches(lab.neighbour, (container.address, 80), inside) == reached


def test_a_later_daemon_decides_anew(lab: Lab) -> None:
    """The option belongs to the daemon: what is open in this way closes with the next one that does not allow it."""
    networks = lab.open(allow_direct_routing=True)
    container = Container(networks)
    inside = listening(container.namespace, 80)
    container.publish(tcp80="127.0.0.1:8080")
    assert tcp_reaches(lab.neighbour, (container.address, 80), inside) == NEIGHBOUR
    for allowed, reached in ((False, None), (True, NEIGHBOUR)):
        networks.close()
        networks = lab.open(allow_direct_routing=allowed)
        networks.adopt(container.endpoint, container.published.forwards)
        networks.adopted()
        container.networks = networks
        assert tcp_reaches(lab.neighbour, (container.address, 80), inside) == reached
        assert tcp_reaches(lab.host, ("127.0.0.1", 8080), inside) is not None
        assert not networks.verify()  # what is there is what should be


@pytest.mark.parametrize("version", [4, 6])
def test_the_address_outside(lab: Lab, version: int) -> None:
    networks = lab.open()
    # One that the host itself would not choose.
    for words in ("10.99.0.77/24 dev wire", "fd99::77/64 dev wire nodad preferred_lft 0"):
        subprocess.run(["ip", "address", "add", *words.split()], check=True)
    chosen = {HOST_IPV4: "10.99.0.77", HOST_IPV6: "fd99::77"}
    lab.create("mine", enable_ipv6=True, ipam=IPAM(config=POOLS), options=chosen)
    lab.create("plain", enable_ipv6=True)
    outside = listening(lab.neighbour, 7000, ANY[version])
    target = (WIRE[version][1], 7000)
    assert tcp_reaches(Container(networks, "mine").namespace, target, outside) == (
        "10.99.0.77" if version == 4 else "fd99::77"
    )
    assert tcp_reaches(Container(networks, "plain").namespace, target, outside) == WIRE[version][0]
    # Where nothing is translated, nothing is by this address either.
    raw = {**chosen, "com.docker.network.bridge.enable_ip_masquerade": "false"}
    lab.create("raw", enable_ipv6=True, options=raw)
    bare = Container(networks, "raw")
    assert tcp_reaches(bare.namespace, target, outside) == own(bare, version)
    # The rule comes back with the others.
    subprocess.run(["nft", "flush", "ruleset"], check=True)
    assert networks.restore()
    again = Container(networks, "mine")
    assert tcp_reaches(again.namespace, target, outside) == ("10.99.0.77" if version == 4 else "fd99::77")


def test_the_host_has_no_address(lab: Lab) -> None:
    networks = lab.open()
    made: NetworkDefinition = lab.create("bare", ipam=IPAM(config=POOLS[:1]), options={INHIBIT_IPV4: "true"})
    one, two = Container(networks, "bare"), Container(networks, "bare")
    shown = subprocess.run(
        ["ip", "-4", "address", "show", "dev", made.bridge], check=True, capture_output=True, text=True
    )
    assert "inet " not in shown.stdout
    assert (made.gateway, one.address, two.address) == ("10.97.0.1", "10.97.0.2", "10.97.0.3")
    assert one.endpoint.gateway == "10.97.0.1"
    inside = listening(two.namespace, 80)
    assert tcp_reaches(one.namespace, (two.address, 80), inside) == one.address
    # A daemon that comes later leaves it so.
    networks.close()
    later = Networks(InstanceId("0123456789ab"), NetworkOptions())
    later.open([made])
    lab.networks = one.networks = two.networks = later
    shown = subprocess.run(
        ["ip", "-4", "address", "show", "dev", made.bridge], check=True, capture_output=True, text=True
    )
    assert "inet " not in shown.stdout
