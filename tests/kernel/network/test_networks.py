"""The facade on a host of its own: set-up, restart, clash, removal; ports that are taken."""

import select
import socket
import subprocess
from pathlib import Path

import pytest

from sampan.errors import InvalidParameter, System
from sampan.kernel import rtnetlink
from sampan.kernel.netlink import NETLINK_NETFILTER, NETLINK_ROUTE, Netlink
from sampan.network import resolvconf
from sampan.network.arrangement import ways
from sampan.network.bridge import BridgeDriver
from sampan.network.driver import NetworkDriver, Wish
from sampan.network.ground import Ground
from sampan.network.modes import parse_mode
from sampan.network.networks import Networks
from sampan.network.options import AddressPool, NetworkOptions, parse_bip
from sampan.network.ports import PortTaken, ephemeral_range, parse_ports
from sampan.network.settings import default_bridge
from sampan.spec.ids import ContainerId, InstanceId, NetworkId, new_id
from sampan.spec.ports import PortBinding
from tests.kernel.network.lab import BRIEF, HOST, NEIGHBOUR, Container, Lab, listening, tcp_reaches
from tests.requires import requires

pytestmark = requires("root", "netns", "veth", "bridge", "nftables")

BRIDGE = parse_mode("bridge")


def sysctl(name: str) -> str:
    with open("/proc/sys/net/" + name) as file:
        return file.read().strip()


def set_sysctl(name: str, value: str) -> None:
    with open("/proc/sys/net/" + name, "w") as file:
        file.write(value)


def address_of(name: str) -> str:
    with Netlink(NETLINK_ROUTE) as route:
        link = rtnetlink.link_by_name(route, name)
        assert link is not None
        found = [address for address in rtnetlink.addresses(route) if address.index == link.index]
    assert len(found) == 1
    return f"{socket.inet_ntoa(found[0].address)}/{found[0].prefix}"


def test_a_subnet_that_is_not_chosen_covers_no_route_and_no_name_server_of_the_host(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that is reached by the default route lies in no network of the host's; a subnet over it would hide it."""
    file = tmp_path / "resolv.conf"
    file.write_text("nameserver 172.18.0.53\nnameserver 172.17.9.9\nnameserver fd07::53\nnameserver x\n")
    monkeypatch.setattr(resolvconf, "HOST_FILE", str(file))
    subprocess.run(["ip", "route", "add", "172.20.0.0/16", "via", NEIGHBOUR], check=True)
    networks = lab.open()
    assert networks.facts()[0].subnet == "172.19.0.0/16"
    assert str(networks.choose_subnet(4)) == "172.21.0.0/16"
    file.write_text("nameserver 127.0.0.53\n")
    real = tmp_path / "resolved.conf"
    real.write_text("nameserver 172.21.0.1\n")
    monkeypatch.setattr(resolvconf, "RESOLVED_FILE", str(real))
    assert str(networks.choose_subnet(4)) == "172.17.0.0/16"
    subprocess.run(["ip", "route", "add", "172.17.0.0/16", "via", NEIGHBOUR], check=True)
    assert str(networks.choose_subnet(4)) == "172.18.0.0/16"


def test_open_again_and_a_later_daemon_find_the_same_bridge(lab: Lab) -> None:
    first = lab.open()
    index = socket.if_nametoindex("sampan0")
    first.open()
    first.close()
    later = lab.open()
    assert socket.if_nametoindex("sampan0") == index
    assert address_of("sampan0") == "172.17.0.1/16"
    assert sysctl("ipv4/conf/sampan0/route_localnet") == "1"
    assert sysctl("ipv6/conf/sampan0/disable_ipv6") == "1"
    assert later.facts()[0].gateway == "172.17.0.1"


def test_the_bridge_as_a_network_driver(lab: Lab) -> None:
    instance = InstanceId("0123456789ab")
    with Netlink(NETLINK_ROUTE) as route, Netlink(NETLINK_NETFILTER) as netfilter:

        def daemon() -> NetworkDriver:
            settings = default_bridge(instance, NetworkId("f" * 64), NetworkOptions())
            return BridgeDriver(settings, Ground(instance, NetworkOptions(), route, netfilter))

        driver = daemon()
        driver.open()
        one, two = (driver.connect(ContainerId(new_id()), Wish()) for _ in range(2))
        assert (one.address, two.address) == ("172.17.0.2", "172.17.0.3")
        assert one.network_id == driver.facts().id
        driver.close(remove=False)
        later = daemon()
        later.open()
        later.adopt(two)
        assert [later.connect(ContainerId(new_id()), Wish()).address for _ in range(2)] == ["172.17.0.2", "172.17.0.4"]
        later.release(two)
        later.release(two)
        assert later.connect(ContainerId(new_id()), Wish()).address == "172.17.0.3"
        later.close(remove=True)
        assert rtnetlink.links(route, "bridge") == []


def test_a_pool_that_overlaps_a_route_is_passed_over(lab: Lab) -> None:
    subprocess.run(["ip", "route", "add", "172.17.5.0/24", "via", NEIGHBOUR], check=True)
    subprocess.run(["ip", "address", "add", "172.18.0.9/20", "dev", "wire"], check=True)
    lab.open()
    assert address_of("sampan0") == "172.19.0.1/16"


def test_two_instances_and_a_stranger_with_our_name(lab: Lab) -> None:
    subprocess.run(["ip", "link", "add", "sampan0", "type", "bridge"], check=True)
    lab.open()
    other = Networks(InstanceId("ba9876543210"), NetworkOptions(default_instance=False))
    other.open()
    assert address_of("sp01234567") == "172.17.0.1/16"
    assert address_of("spba987654") == "172.18.0.1/16"
    other.close(remove=True)
    assert address_of("sp01234567") == "172.17.0.1/16"


def test_bip_and_its_change(lab: Lab) -> None:
    lab.open(bip=parse_bip("10.50.0.1/24")).close()
    assert address_of("sampan0") == "10.50.0.1/24"
    networks = lab.open(bip=parse_bip("10.60.0.1/24"))
    assert address_of("sampan0") == "10.60.0.1/24"
    assert networks.connect(ContainerId(new_id()), BRIDGE).address == "10.60.0.2"


def test_pools_used_up(lab: Lab) -> None:
    import ipaddress

    pool = AddressPool(ipaddress.IPv4Network("10.99.0.0/24"), 24)
    with pytest.raises(System, match="all predefined address pools have been fully subnetted"):
        lab.open(pools=(pool,))
    assert lab.networks is not None
    lab.networks.close()


def test_forwarding_is_switched_on_for_bridges_only_and_off_again(lab: Lab) -> None:
    set_sysctl("ipv4/ip_forward", "0")
    networks = lab.open()
    assert sysctl("ipv4/ip_forward") == "1"
    container = Container(networks)
    outside = listening(lab.neighbour, 7000)
    assert tcp_reaches(container.namespace, (NEIGHBOUR, 7000), outside) == HOST
    container.end()
    networks.close()
    networks = lab.open()  # remembered by a later daemon
    rules = subprocess.run(["nft", "list", "ruleset"], check=True, capture_output=True, text=True).stdout
    assert "iifkind" in rules
    networks.close(remove=True)
    assert sysctl("ipv4/ip_forward") == "0"


def test_remove_leaves_nothing(lab: Lab) -> None:
    networks = lab.open()
    networks.close(remove=True)
    links = [name for _, name in socket.if_nameindex()]
    assert links == ["lo", "wire"]
    rules = subprocess.run(["nft", "list", "ruleset"], check=True, capture_output=True, text=True).stdout
    assert rules == ""


def test_a_later_daemon_adopts_and_takes_back_the_rest(lab: Lab) -> None:
    networks = lab.open()
    kept, gone = Container(networks), Container(networks)
    inside, lost = listening(kept.namespace, 80), listening(gone.namespace, 80)
    kept.publish(tcp80="0.0.0.0:8080")
    gone.publish(tcp80="0.0.0.0:8081")
    networks.close()

    later = lab.open()
    assert tcp_reaches(lab.neighbour, (HOST, 8080), inside) is not None  # not even a gap
    later.adopt(kept.endpoint, kept.published.forwards)
    later.adopted()
    assert tcp_reaches(lab.neighbour, (HOST, 8080), inside) is not None
    assert tcp_reaches(lab.neighbour, (HOST, 8081), lost, patience=BRIEF) is None
    assert later.connect(ContainerId(new_id()), BRIDGE).address == gone.address
    with pytest.raises(PortTaken, match=r"Bind for 0\.0\.0\.0:8080 failed: port is already allocated"):
        later.publish(ways([gone.endpoint]), "x", parse_ports({"80/tcp": (PortBinding(host_port="8080"),)}))
    kept.networks = gone.networks = later


def test_our_rules_come_back_when_the_event_is_read(lab: Lab) -> None:
    networks = lab.open()
    container = Container(networks)
    inside = listening(container.namespace, 80)
    container.publish(tcp80="0.0.0.0:8080")
    networks.drain()
    networks.restore()
    subprocess.run(["nft", "flush", "ruleset"], check=True)
    assert tcp_reaches(lab.neighbour, (HOST, 8080), inside, patience=BRIEF) is None
    assert select.select([networks], [], [], 5)[0]  # whoever waits is told
    networks.drain()
    assert networks.restore()
    assert not networks.restore()  # what it did itself moves it to nothing
    assert tcp_reaches(lab.neighbour, (HOST, 8080), inside) is not None


def test_ports_in_docker_s_words(lab: Lab) -> None:
    networks = lab.open()
    endpoint = networks.connect(ContainerId(new_id()), BRIDGE)
    busy = listening(lab.host, 8080)
    prefix = (
        "failed to set up container networking: driver failed programming external connectivity on endpoint web "
        f"({endpoint.endpoint_id}): "
    )
    with pytest.raises(PortTaken) as raised:
        networks.publish(ways([endpoint]), "web", parse_ports({"80/tcp": (PortBinding(host_port="8080"),)}))
    assert str(raised.value) == prefix + (
        "failed to bind host port for 0.0.0.0:8080:172.17.0.2:80/tcp: address already in use"
    )
    busy.close()
    with pytest.raises(PortTaken) as raised:
        networks.publish(
            ways([endpoint]), "web", parse_ports({"80/tcp": (PortBinding(host_ip="10.1.2.3", host_port="80"),)})
        )
    assert str(raised.value) == prefix + (
        "failed to bind host port for 10.1.2.3:80:172.17.0.2:80/tcp: cannot assign requested address"
    )


def test_a_failed_publish_leaves_nothing(lab: Lab) -> None:
    networks = lab.open()
    endpoint = networks.connect(ContainerId(new_id()), BRIDGE)
    busy = listening(lab.host, 8081)
    ports = {"80/tcp": (PortBinding(host_port="8080"), PortBinding(host_port="8081"))}
    with pytest.raises(PortTaken):
        networks.publish(ways([endpoint]), "web", parse_ports(ports))
    busy.close()
    networks.publish(ways([endpoint]), "web", parse_ports(ports)).close()


def test_a_held_port_is_nobody_else_s(lab: Lab) -> None:
    networks = lab.open()
    container = Container(networks)
    container.publish(tcp80="127.0.0.1:8080", udp53="0.0.0.0:5353")
    for kind, address, port in (
        (socket.SOCK_STREAM, "", 8080),
        (socket.SOCK_STREAM, "127.0.0.1", 8080),
        (socket.SOCK_DGRAM, "127.0.0.1", 5353),
    ):
        with pytest.raises(OSError, match="in use"):
            # With SO_REUSEADDR, as servers set it.
            listening(lab.host, port, address) if kind == socket.SOCK_STREAM else lab.host.socket(kind, address, port)


def test_what_holds_a_port_answers_nobody(lab: Lab) -> None:
    """Even while the rules are gone: no connection, no refusal."""
    container = Container(lab.open())
    container.publish(tcp80="0.0.0.0:8080")
    subprocess.run(["nft", "flush", "ruleset"], check=True)
    client = lab.neighbour.socket(socket.SOCK_STREAM)
    client.settimeout(0.3)
    with pytest.raises(TimeoutError):
        client.connect((HOST, 8080))


def test_a_port_whose_last_connections_linger_can_be_had(lab: Lab) -> None:
    server = listening(lab.host, 8080)
    client = lab.neighbour.socket(socket.SOCK_STREAM)
    client.connect((HOST, 8080))
    accepted, _ = server.accept()
    accepted.close()  # the side that closes first keeps TIME_WAIT
    client.recv(1)
    client.close()
    server.close()
    container = Container(lab.open())
    container.publish(tcp80="0.0.0.0:8080")
    assert container.published.forwards[0].host_port == 8080


def test_random_ports_are_the_lowest_free(lab: Lab) -> None:
    set_sysctl("ipv4/ip_local_port_range", "40000 40003")
    networks = lab.open()
    endpoint = networks.connect(ContainerId(new_id()), BRIDGE)
    busy = listening(lab.host, 40001)
    assert ephemeral_range() == (40000, 40003)
    request = parse_ports({"80/tcp": (PortBinding(),)})
    first, second = networks.publish(ways([endpoint]), "a", request), networks.publish(ways([endpoint]), "b", request)
    assert [one.forwards[0].host_port for one in (first, second)] == [40000, 40002]
    networks.release(endpoint, first.forwards)
    first.close()
    again = networks.publish(ways([endpoint]), "a", request)
    assert again.forwards[0].host_port == 40000
    third = networks.publish(ways([endpoint]), "c", request)
    busy.close()
    fourth = networks.publish(ways([endpoint]), "d", request)
    assert fourth.forwards[0].host_port == 40001
    with pytest.raises(PortTaken, match="all ports are allocated"):
        networks.publish(ways([endpoint]), "e", request)
    for one in (second, third, again, fourth):
        one.close()


def test_a_range_gives_its_first_free_port(lab: Lab) -> None:
    networks = lab.open()
    endpoint = networks.connect(ContainerId(new_id()), BRIDGE)
    listening(lab.host, 8000)
    request = parse_ports({"80/tcp": (PortBinding(host_port="8000-8001"),)})
    published = networks.publish(ways([endpoint]), "a", request)
    assert published.forwards[0].host_port == 8001
    with pytest.raises(PortTaken, match=r"Bind for 0\.0\.0\.0:8001 failed: port is already allocated"):
        networks.publish(ways([endpoint]), "b", request)
    published.close()


def test_own_mac_and_no_own_address(lab: Lab) -> None:
    networks = lab.open()
    endpoint = networks.connect(ContainerId(new_id()), BRIDGE, Wish(mac="92:D0:C6:0A:29:33"))
    assert endpoint.mac == "92:d0:c6:0a:29:33"
    with pytest.raises(InvalidParameter, match="user specified IP address is supported on user defined networks only"):
        networks.connect(ContainerId(new_id()), BRIDGE, Wish(address="172.17.0.9"))
    for wrong in ("01:00:5e:00:00:01", "x", "00:00:00:00:00:00", "02:42:ac:11:00"):
        with pytest.raises(InvalidParameter, match="invalid MAC address"):
            networks.connect(ContainerId(new_id()), BRIDGE, Wish(mac=wrong))


def test_no_ipv6_in_the_container_but_on_its_loopback(lab: Lab) -> None:
    container = Container(lab.open())
    with container.namespace.entered():
        assert sysctl("ipv6/conf/eth0/disable_ipv6") == "1"
        with open("/proc/thread-self/net/if_inet6") as file:
            assert [line.split()[-1] for line in file] == ["lo"]
    with open("/proc/thread-self/net/if_inet6") as file:
        assert not [line for line in file if line.split()[-1].startswith(("veth", "sampan"))]
