"""Links, addresses and routes, read back after each change."""

import errno
import socket
from collections.abc import Iterator

import pytest

from sampan.kernel import rtnetlink
from sampan.kernel.netlink import NETLINK_ROUTE, Netlink
from sampan.network import forwarding
from tests.kernel.network.lab import Lab
from tests.requires import requires

pytestmark = requires("root", "netns", "veth", "bridge")

MAC = bytes.fromhex("024200000001")


@pytest.fixture
def route(lab: Lab) -> Iterator[Netlink]:
    with Netlink(NETLINK_ROUTE) as made:
        yield made


def test_a_bridge_s_life(route: Netlink) -> None:
    route.request_all([rtnetlink.bridge_message("b0", MAC, 1400), rtnetlink.alias_message("b0", "of the test")])
    bridge = rtnetlink.link_by_name(route, "b0")
    assert bridge is not None
    assert (bridge.kind, bridge.mac, bridge.mtu, bridge.alias, bridge.up) == ("bridge", MAC, 1400, "of the test", False)
    address = socket.inet_aton("10.1.0.1")
    route.request_all([rtnetlink.up_message(bridge.index), rtnetlink.address_message(bridge.index, address, 24)])
    again = rtnetlink.link_by_index(route, bridge.index)
    assert again is not None
    assert again.up
    assert [one.address for one in rtnetlink.addresses(route) if one.index == bridge.index] == [address]
    assert (socket.inet_aton("10.1.0.0"), 24) in [(one.destination, one.prefix) for one in rtnetlink.routes(route)]
    route.request_all([rtnetlink.remove_address_message(bridge.index, address, 24)])
    assert not [one for one in rtnetlink.addresses(route) if one.index == bridge.index]
    route.request_all([rtnetlink.delete_message(bridge.index)])
    assert rtnetlink.link_by_name(route, "b0") is None


def test_ports_and_names(route: Netlink) -> None:
    wire = rtnetlink.link_by_name(route, "wire")
    assert wire is not None
    route.request_all([rtnetlink.bridge_message("b0", MAC, 0)])
    bridge = rtnetlink.link_by_name(route, "b0")
    assert bridge is not None
    route.request_all(
        [
            rtnetlink.down_message(wire.index),
            rtnetlink.rename_message(wire.index, "cable"),
            rtnetlink.master_message(wire.index, bridge.index),
            rtnetlink.port_up_message("cable", hairpin=True, isolated=True),
        ]
    )
    cable = rtnetlink.link_by_name(route, "cable")
    assert cable is not None
    assert (cable.index, cable.master, cable.up) == (wire.index, bridge.index, True)
    assert [one.name for one in rtnetlink.links(route, "bridge")] == ["b0"]
    route.request_all([rtnetlink.master_message(wire.index, 0)])
    freed = rtnetlink.link_by_index(route, wire.index)
    assert freed is not None
    assert freed.master == 0


def test_a_neighbour(route: Netlink) -> None:
    wire = rtnetlink.link_by_name(route, "wire")
    assert wire is not None
    route.request_all([rtnetlink.neighbour_message(wire.index, socket.inet_aton("10.99.0.77"), MAC)])
    with open("/proc/thread-self/net/arp") as file:
        assert "10.99.0.77       0x1         0x2         02:42:00:00:00:01" in file.read()


def test_an_error_says_what_was_asked_and_why(route: Netlink) -> None:
    with pytest.raises(FileExistsError, match="bridge add wire: File exists"):
        route.request_all([rtnetlink.bridge_message("wire", MAC, 0)])
    with pytest.raises(OSError, match=r"route add default via 203\.0\.113\.1: .*Nexthop has invalid gateway") as raised:
        route.request_all([rtnetlink.default_route_message(socket.inet_aton("203.0.113.1"))])
    assert raised.value.errno == errno.ENETUNREACH


def test_the_first_error_of_several_and_the_socket_goes_on(route: Netlink) -> None:
    with pytest.raises(OSError, match="link set 9999 up"):
        route.request_all(
            [
                rtnetlink.bridge_message("b0", MAC, 0),
                rtnetlink.up_message(9999),
                rtnetlink.bridge_message("b0", MAC, 0),
                rtnetlink.bridge_message("b1", MAC, 0),
            ]
        )
    names = {one.name for one in rtnetlink.links(route)}
    assert {"b0", "b1"} <= names  # what could be done was done


def test_a_dump_of_many(route: Netlink) -> None:
    for number in range(0, 100, 20):
        route.request_all([rtnetlink.bridge_message(f"b{one}", MAC, 0) for one in range(number, number + 20)])
    assert len(rtnetlink.links(route, "bridge")) == 100
    route.request_all([rtnetlink.delete_message(name=f"b{number}") for number in range(100)])
    assert rtnetlink.links(route, "bridge") == []


def test_each_family_by_itself(route: Netlink) -> None:
    route.request_all([rtnetlink.bridge_message("b6", b"", 1500)])
    bridge = rtnetlink.link_by_name(route, "b6")
    assert bridge is not None
    four, six = socket.inet_aton("10.6.0.1"), socket.inet_pton(socket.AF_INET6, "fd06::1")
    gateway = socket.inet_pton(socket.AF_INET6, "fd06::2")
    route.request_all(
        [
            rtnetlink.address_message(bridge.index, four, 24),
            rtnetlink.address_message(bridge.index, six, 64),
            rtnetlink.up_message(bridge.index),
            rtnetlink.default_route_message(gateway),
        ]
    )

    def found(family: int) -> list[bytes]:
        return [one.address for one in rtnetlink.addresses(route, family) if one.index == bridge.index]

    assert found(socket.AF_INET) == [four]
    assert six in found(socket.AF_INET6)
    # A family that the kernel has not, such as decnet by now, has none of another's.
    assert rtnetlink.addresses(route, 12) == []
    defaults = [one for one in rtnetlink.routes(route, socket.AF_INET6) if not one.prefix and one.index == bridge.index]
    assert [one.destination for one in defaults] == [bytes(16)]
    route.request_all([rtnetlink.no_default_route_message(socket.AF_INET6)])
    route.request_all([rtnetlink.remove_address_message(bridge.index, six, 64)])
    assert six not in found(socket.AF_INET6)
    with pytest.raises(OSError, match="route delete default"):
        route.request_all([rtnetlink.no_default_route_message(socket.AF_INET6)])


def test_the_longest_alias_that_remembers_forwarding(route: Netlink) -> None:
    """More links listen to routers than an alias has room for: some are left out, and the kernel takes the rest."""
    links = [f"listener{number}" for number in range(40)]
    for name in links:
        route.request_all([rtnetlink.bridge_message(name, b"", 0)])
        with open(f"/proc/sys/net/ipv6/conf/{name}/accept_ra", "w") as file:
            file.write("1")
    label = "sampan 0123456789ab"
    memory = forwarding.missing(forwarding.Memory(), label, links, ipv6=True, allowed=True)
    for filled in range(12):  # whatever the words before come to
        alias = forwarding.missing(forwarding.Memory(), label + "x" * filled, links, ipv6=True, allowed=True).alias(
            label + "x" * filled
        )
        route.request_all([rtnetlink.alias_message(links[0], alias)])
    assert len(memory.listeners) > 15
    route.request_all([rtnetlink.alias_message(links[0], "x" * 254)])
    with pytest.raises(OSError, match="Numerical result out of range"):
        route.request_all([rtnetlink.alias_message(links[0], "x" * 255)])
