"""IPv6 on the real kernel: addresses without waiting, who reaches whom, gateway modes, and the host as it was before."""

import ipaddress
import os
import socket
import subprocess

import pytest

from sampan.errors import Forbidden, InvalidParameter
from sampan.network.arrangement import ways
from sampan.network.driver import Wish
from sampan.network.networks import Networks
from sampan.network.options import parse_bip, parse_pool
from sampan.network.ports import PortTaken, parse_ports
from sampan.spec.networks import IPAM, IPAMConfig
from sampan.spec.ports import PortBinding
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
    tcp_reaches,
    udp_reaches,
)
from tests.requires import requires
from tests.waiting import eventually

pytestmark = requires("root", "netns", "veth", "bridge", "nftables", "nft", "busybox")

MODE = "com.docker.network.bridge.gateway_mode_ipv{}"


def sysctl(name: str, namespace: Namespace | None = None) -> str:
    if namespace is None:
        with open("/proc/sys/net/" + name) as file:
            return file.read().strip()
    with namespace.entered():
        return sysctl(name)


def set_sysctl(name: str, value: str) -> None:
    with open("/proc/sys/net/" + name, "w") as file:
        file.write(value)


def addresses(namespace: Namespace, link: str) -> list[str]:
    """`ADDRESS/PREFIX FLAGS` of the IPv6 addresses of a link."""
    with namespace.entered():
        words = ["ip", "-6", "-o", "address", "show", "dev", link]
        lines = subprocess.run(words, check=True, capture_output=True, text=True).stdout.splitlines()
    return [line.split("inet6 ")[1].split("\\")[0].strip() for line in lines]


def six(subnet: str = "fd11::/64", **members: object) -> IPAM:
    return IPAM(config=(IPAMConfig(subnet=subnet, **members),))  # type: ignore[arg-type]


def dual(lab: Lab, name: str = "both", subnet: str = "fd11::/64", **members: object) -> None:
    lab.create(name, enable_ipv6=True, ipam=six(subnet), **members)


def test_an_address_is_there_at_once(lab: Lab) -> None:
    networks = lab.open()
    dual(lab)
    one = Container(networks, "both")
    assert (one.address6, one.endpoint.gateway6, one.endpoint.prefix6) == ("fd11::2", "fd11::1", 64)
    shown = addresses(one.namespace, "eth0")
    assert "fd11::2/64 scope global nodad" in shown
    assert not any("tentative" in line for line in shown)
    for name, value in (("accept_ra", "0"), ("autoconf", "0"), ("disable_ipv6", "0")):
        assert sysctl(f"ipv6/conf/eth0/{name}", one.namespace) == value
    # On the host's side, too: neither the bridge hears advertisements, nor has the pair's end an address.
    bridge = networks.definitions()[0].bridge
    assert "fd11::1/64 scope global nodad" in addresses(lab.host, bridge)
    assert sysctl(f"ipv6/conf/{bridge}/accept_ra") == "0"
    assert one.endpoint.link is not None
    assert addresses(lab.host, one.endpoint.link.host_name) == []


def test_a_network_without_ipv6_has_none_of_it(lab: Lab) -> None:
    networks = lab.open()
    definition = lab.create("four")
    one = Container(networks, "four")
    assert one.address6 == ""
    assert sysctl("ipv6/conf/eth0/disable_ipv6", one.namespace) == "1"
    assert addresses(one.namespace, "eth0") == addresses(lab.host, definition.bridge) == []
    assert sysctl("ipv6/conf/all/forwarding") == "0"


def test_ipv6_alone(lab: Lab) -> None:
    networks = lab.open()
    lab.create("six", enable_ipv4=False, enable_ipv6=True)
    one, two = Container(networks, "six"), Container(networks, "six")
    assert (one.address, one.endpoint.gateway) == ("", "")
    assert one.address6.startswith("fd")
    inside = listening(one.namespace, 80, "::")
    assert tcp_reaches(two.namespace, (one.address6, 80), inside) == two.address6
    outside = listening(lab.neighbour, 7000, "::")
    assert tcp_reaches(one.namespace, (NEIGHBOUR6, 7000), outside) == HOST6
    one.publish(tcp80=":8080")
    assert [forward.host_ip for forward in one.published.forwards] == ["::"]
    assert tcp_reaches(lab.neighbour, (HOST6, 8080), inside) == NEIGHBOUR6


def test_wishes_are_granted_within_chosen_subnets(lab: Lab) -> None:
    networks = lab.open()
    dual(lab)
    lab.create("pool", enable_ipv6=True)
    one = Container(networks, "both", Wish(address6="fd11::99", link_local=("169.254.8.8", "fe80::1234")))
    assert one.address6 == "fd11::99"
    assert "fe80::1234/64 scope link nodad" in addresses(one.namespace, "eth0")
    with pytest.raises(Forbidden, match="Address already in use"):
        Container(networks, "both", Wish(address6="fd11::99"))
    with pytest.raises(InvalidParameter, match="no configured subnet"):
        Container(networks, "both", Wish(address6="fd12::99"))
    with pytest.raises(InvalidParameter, match="networks with user configured subnets"):
        Container(networks, "pool", Wish(address6="fd12::99"))
    # Nothing is kept of what was refused.
    assert [Container(networks, "both").address for _ in range(2)] == ["172.18.0.3", "172.18.0.4"]


def test_published_from_everywhere(lab: Lab) -> None:
    networks = lab.open()
    dual(lab)
    one, two = Container(networks, "both"), Container(networks, "both")
    inside = listening(one.namespace, 80, "::")
    names = one.namespace.socket(socket.SOCK_DGRAM, "::", 53)
    one.publish(tcp80=":8080", udp53=":5353")
    shown = [(forward.host_ip, forward.host_port) for forward in one.published.forwards]
    assert shown == [("0.0.0.0", 5353), ("::", 5353), ("0.0.0.0", 8080), ("::", 8080)]
    assert tcp_reaches(lab.neighbour, (HOST6, 8080), inside) == NEIGHBOUR6, "the client's address is preserved"
    assert udp_reaches(lab.neighbour, (HOST6, 5353), names) == NEIGHBOUR6
    assert tcp_reaches(lab.host, (HOST6, 8080), inside) is not None
    assert tcp_reaches(two.namespace, (HOST6, 8080), inside) == one.endpoint.gateway6
    assert tcp_reaches(one.namespace, (HOST6, 8080), inside) == one.endpoint.gateway6, "at its own port"
    assert tcp_reaches(one.namespace, (one.endpoint.gateway6, 8080), inside) is not None
    assert tcp_reaches(lab.neighbour, (one.address6, 80), inside, patience=BRIEF) is None, "straight to the container"
    assert tcp_reaches(lab.host, (one.address6, 80), inside) is not None
    networks.release(one.endpoint, one.published.forwards)
    one.published.close()
    assert tcp_reaches(lab.neighbour, (HOST6, 8080), inside, patience=BRIEF) is None


def test_one_address_of_the_host(lab: Lab) -> None:
    networks = lab.open()
    dual(lab)
    one = Container(networks, "both")
    subprocess.run(["ip", "address", "add", "fd99::5/64", "dev", "wire", "nodad"], check=True)
    inside = listening(one.namespace, 80, "::")
    one.publish(tcp80="fd99::5:8080")
    assert tcp_reaches(lab.neighbour, ("fd99::5", 8080), inside) == NEIGHBOUR6
    assert tcp_reaches(lab.neighbour, (HOST6, 8080), inside, patience=BRIEF) is None
    listening(lab.host, 8080, HOST6).close()


def test_others_traffic_to_the_same_port_is_left_alone(lab: Lab) -> None:
    """CVE-2025-67499, by IPv6."""
    networks = lab.open()
    dual(lab)
    one = Container(networks, "both")
    outside = listening(lab.neighbour, 8080, "::")
    one.publish(tcp80=":8080")
    assert tcp_reaches(one.namespace, (NEIGHBOUR6, 8080), outside) == HOST6


def test_the_same_random_number_and_what_is_taken(lab: Lab) -> None:
    networks = lab.open()
    dual(lab)
    one, two = Container(networks, "both"), Container(networks, "both")
    with open("/proc/sys/net/ipv4/ip_local_port_range") as file:
        low = int(file.read().split()[0])
    # One that is free by IPv4 alone is no number for both.
    busy = listening(lab.host, low, "::")
    published = networks.publish(ways([one.endpoint]), "web", parse_ports({"80/tcp": (PortBinding(),)}))
    assert [(one.host_ip, one.host_port) for one in published.forwards] == [("0.0.0.0", low + 1), ("::", low + 1)]
    with pytest.raises(PortTaken) as raised:
        networks.publish(
            ways([two.endpoint]),
            "web",
            parse_ports({"80/tcp": (PortBinding(host_ip="::1", host_port=str(low + 1)),)}),
        )
    assert str(raised.value).endswith(f"Bind for :::{low + 1} failed: port is already allocated")
    with pytest.raises(PortTaken) as raised:
        networks.publish(ways([two.endpoint]), "web", parse_ports({"80/tcp": (PortBinding(host_port=str(low)),)}))
    assert str(raised.value).endswith(
        f"failed to bind host port for [::]:{low}:[{two.address6}]:80/tcp: address already in use"
    )
    busy.close()
    again = networks.publish(ways([two.endpoint]), "web", parse_ports({"80/tcp": (PortBinding(host_port=str(low)),)}))
    for one_published in (published, again):
        networks.withdraw(list(one_published.forwards))
        one_published.close()


def test_networks_are_apart(lab: Lab) -> None:
    networks = lab.open()
    dual(lab)
    dual(lab, "other", "fd12::/64")
    one, two = Container(networks, "both"), Container(networks, "other")
    inside = listening(two.namespace, 80, "::")
    assert tcp_reaches(one.namespace, (two.address6, 80), inside, patience=BRIEF) is None
    two.publish(tcp80=":8080")
    assert tcp_reaches(one.namespace, (HOST6, 8080), inside) is not None
    assert tcp_reaches(one.namespace, (two.address6, 80), inside, patience=BRIEF) is None


def test_internal_ones_neither_way(lab: Lab) -> None:
    networks = lab.open()
    dual(lab)
    dual(lab, "vault", "fd12::/64", internal=True)
    one, two = Container(networks, "vault"), Container(networks, "vault")
    other = Container(networks, "both")
    inside, outside = listening(one.namespace, 80, "::"), listening(lab.neighbour, 7000, "::")
    assert one.endpoint.gateway6 == ""
    assert tcp_reaches(two.namespace, (one.address6, 80), inside) == two.address6
    with one.namespace.entered():
        subprocess.run(["ip", "-6", "route", "add", "default", "via", "fd12::1"], check=True)
        subprocess.run(["ip", "route", "add", "default", "via", networks.definitions()[1].gateway], check=True)
    assert tcp_reaches(one.namespace, (NEIGHBOUR6, 7000), outside, patience=BRIEF) is None
    published = listening(other.namespace, 80, "::")
    other.publish(tcp80=":8080")
    assert tcp_reaches(one.namespace, (HOST6, 8080), published, patience=BRIEF) is None
    assert tcp_reaches(lab.neighbour, (one.address6, 80), inside, patience=BRIEF) is None
    inside4 = listening(one.namespace, 80)
    assert tcp_reaches(lab.neighbour, (one.address, 80), inside4, patience=BRIEF) is None


@pytest.mark.parametrize("family", [4, 6])
def test_routed(lab: Lab, family: int) -> None:
    """The container's own address, from the outside and from other networks, at published ports alone."""
    networks = lab.open()
    dual(lab, options={MODE.format(family): "routed"})
    dual(lab, "other", "fd12::/64")
    one, other = Container(networks, "both"), Container(networks, "other")
    any_host, host, neighbour = ("", HOST, NEIGHBOUR) if family == 4 else ("::", HOST6, NEIGHBOUR6)
    address = one.address if family == 4 else one.address6
    inside, closed = listening(one.namespace, 80, any_host), listening(one.namespace, 81, any_host)
    outside = listening(lab.neighbour, 7000, any_host)
    one.publish(tcp80=":8080")
    mine = [forward for forward in one.published.forwards if forward.is_ipv6 == (family == 6)]
    assert [(forward.host_ip, forward.host_port) for forward in mine] == [("0.0.0.0" if family == 4 else "::", 0)]
    assert tcp_reaches(lab.neighbour, (address, 80), inside) == neighbour
    assert tcp_reaches(lab.neighbour, (address, 81), closed, patience=BRIEF) is None
    assert tcp_reaches(lab.neighbour, (host, 8080), inside, patience=BRIEF) is None, "no port of the host's"
    assert tcp_reaches(other.namespace, (address, 80), inside) is not None
    assert tcp_reaches(other.namespace, (address, 81), closed, patience=BRIEF) is None
    assert tcp_reaches(one.namespace, (neighbour, 7000), outside) == address, "its own address outside"
    with lab.neighbour.entered():
        ping = ["busybox", "ping", "-c1", "-W2", f"-{family}", address]
        assert subprocess.run(ping, check=False, capture_output=True).returncode == 0


@pytest.mark.parametrize("family", [4, 6])
def test_nat_unprotected(lab: Lab, family: int) -> None:
    networks = lab.open()
    dual(lab, options={MODE.format(family): "nat-unprotected"})
    dual(lab, "other", "fd12::/64")
    one, other = Container(networks, "both"), Container(networks, "other")
    any_host, host, neighbour = ("", HOST, NEIGHBOUR) if family == 4 else ("::", HOST6, NEIGHBOUR6)
    address = one.address if family == 4 else one.address6
    inside = listening(one.namespace, 81, any_host)
    outside = listening(lab.neighbour, 7000, any_host)
    assert tcp_reaches(lab.neighbour, (address, 81), inside) == neighbour
    assert tcp_reaches(other.namespace, (address, 81), inside, patience=BRIEF) is None, "networks stay apart"
    assert tcp_reaches(one.namespace, (neighbour, 7000), outside) == host


def test_isolated(lab: Lab) -> None:
    """Not even the host is there: no address of it in the network, and none that the kernel makes by itself."""
    networks = lab.open()
    definition = lab.create(
        "alone", enable_ipv6=True, internal=True, options={MODE.format(family): "isolated" for family in (4, 6)}
    )
    one, two = Container(networks, "alone"), Container(networks, "alone")
    assert (one.endpoint.gateway, one.endpoint.gateway6) == ("", "")
    shown = subprocess.run(["ip", "-o", "address", "show", definition.bridge], check=True, capture_output=True).stdout
    assert shown == b""
    assert tcp_reaches(two.namespace, (one.address, 80), listening(one.namespace, 80)) == two.address
    assert tcp_reaches(two.namespace, (one.address6, 81), listening(one.namespace, 81, "::")) == two.address6


def test_icc_off(lab: Lab) -> None:
    networks = lab.open()
    dual(lab, options={"com.docker.network.bridge.enable_icc": "false"})
    one, two = Container(networks, "both"), Container(networks, "both")
    inside, outside = listening(one.namespace, 80, "::"), listening(lab.neighbour, 7000, "::")
    assert tcp_reaches(two.namespace, (one.address6, 80), inside, patience=BRIEF) is None
    assert tcp_reaches(two.namespace, (NEIGHBOUR6, 7000), outside) == HOST6


def test_without_masquerade_the_container_s_own_address_is_seen(lab: Lab) -> None:
    networks = lab.open()
    dual(lab, options={"com.docker.network.bridge.enable_ip_masquerade": "false"})
    one = Container(networks, "both")
    outside = listening(lab.neighbour, 7000, "::")
    assert tcp_reaches(one.namespace, (NEIGHBOUR6, 7000), outside) == one.address6
    assert tcp_reaches(lab.neighbour, (one.address6, 80), listening(one.namespace, 80, "::"), patience=BRIEF) is None


def test_interface_names_and_settings(lab: Lab) -> None:
    networks = lab.open()
    dual(lab, options={"com.docker.network.container_iface_prefix": "lan"})
    two = Container(networks, "both", Wish(sysctls=(("ipv4.conf.IFNAME.forwarding", "1"),)))
    assert two.endpoint.interface_prefix == "lan"
    assert sysctl("ipv4/conf/eth0/forwarding", two.namespace) == "1"


def test_the_default_bridge(lab: Lab) -> None:
    pools = (parse_pool("fd77::/56", 64), parse_pool("172.30.0.0/16", 24))
    networks = lab.open(ipv6=True, pools=pools)
    one = Container(networks)
    assert (one.address, one.address6) == ("172.30.0.2", "fd77::2")
    assert tcp_reaches(lab.neighbour, (HOST6, 8080), _published(one)) == NEIGHBOUR6
    one.end()
    networks.close()
    networks = lab.open(ipv6=True, bip6=parse_bip("fd78::9/64", "bip6"))
    assert Container(networks).address6 == "fd78::1"


def _published(container: Container) -> socket.socket:
    container.publish(tcp80=":8080")
    return listening(container.namespace, 80, "::")


def test_a_gateway_other_than_the_bridge(lab: Lab) -> None:
    networks = lab.open(
        ipv6=True,
        fixed_cidr6=ipaddress.ip_network("fd11::/64"),
        gateway=ipaddress.ip_address("172.17.0.2"),
        gateway6=ipaddress.ip_address("fd11::2"),
    )
    one = Container(networks)
    assert (one.address, one.address6) == ("172.17.0.3", "fd11::3")
    assert (one.endpoint.gateway, one.endpoint.gateway6) == ("172.17.0.2", "fd11::2")


def test_forwarding_is_for_bridges_and_off_again(lab: Lab) -> None:
    """A host that heard router advertisements goes on hearing them."""
    set_sysctl("ipv6/conf/wire/accept_ra", "1")
    before = {name: sysctl(f"ipv6/conf/{name}") for name in _settings()}
    networks = lab.open()
    assert sysctl("ipv6/conf/all/forwarding") == "0"
    dual(lab)
    assert sysctl("ipv6/conf/all/forwarding") == "1"
    assert sysctl("ipv6/conf/wire/accept_ra") == "2"
    one = Container(networks, "both")
    assert tcp_reaches(one.namespace, (NEIGHBOUR6, 7000), listening(lab.neighbour, 7000, "::")) == HOST6
    one.end()
    definitions = networks.definitions()
    networks.close()
    networks = Networks(networks._instance, networks._options)
    lab.networks = networks
    networks.open(definitions)
    rules = subprocess.run(["nft", "list", "ruleset"], check=True, capture_output=True, text=True).stdout
    assert "iifkind" in rules.partition("table ip6")[2]
    networks.remove(definitions[0].id)
    assert sysctl("ipv6/conf/all/forwarding") == "0"
    # The pair's end inside goes when the kernel frees the container's namespace: late.
    eventually(lambda: {name: sysctl(f"ipv6/conf/{name}") for name in _settings()} == before, f"before: {before}", 10)


def _settings() -> list[str]:
    return [f"{link}/{name}" for link in ("all", "default", "wire", "lo") for name in ("forwarding", "accept_ra")]


def test_removal_leaves_the_host_as_it_was(lab: Lab) -> None:
    def state() -> list[str]:
        words = (
            ["ip", "-o", "link"],
            ["ip", "-6", "route", "show", "table", "all"],
            ["ip", "route"],
            ["ip", "address"],
        )
        shown = [subprocess.run(one, check=True, capture_output=True, text=True).stdout for one in words]
        return [*shown, *(sysctl(f"ipv6/conf/{name}") for name in _settings()), sysctl("ipv4/ip_forward")]

    set_sysctl("ipv4/ip_forward", "0")
    before = state()
    networks = lab.open(ipv6=True)
    dual(lab)
    one = Container(networks, "both")
    one.publish(tcp80=":8080")
    one.end()
    networks.close(remove=True)
    # The kernel frees the container's namespace, and with it the pair's other end, some time after its last holder is gone.
    eventually(lambda: state() == before, f"before: {before}", 10)
    assert subprocess.run(["nft", "list", "ruleset"], check=True, capture_output=True).stdout == b""


def test_a_later_daemon_keeps_addresses_and_ports(lab: Lab) -> None:
    networks = lab.open()
    dual(lab, options={MODE.format(4): "routed"})
    one = Container(networks, "both")
    inside, inside4 = listening(one.namespace, 80, "::"), listening(one.namespace, 80)
    one.publish(tcp80=":8080")
    definitions = networks.definitions()
    networks.close()
    later = Networks(networks._instance, networks._options)
    later.open(definitions)
    lab.networks = one.networks = later
    assert tcp_reaches(lab.neighbour, (HOST6, 8080), inside) == NEIGHBOUR6  # not even a gap
    later.adopt(one.endpoint, one.published.forwards)
    later.adopted()
    assert tcp_reaches(lab.neighbour, (HOST6, 8080), inside) == NEIGHBOUR6
    assert tcp_reaches(lab.neighbour, (one.address, 80), inside4) == NEIGHBOUR
    with pytest.raises(PortTaken, match="Bind for :::8080 failed"):
        later.publish(
            ways([one.endpoint]), "x", parse_ports({"80/tcp": (PortBinding(host_ip="::", host_port="8080"),)})
        )
    assert Container(later, "both").address6 == "fd11::3"


def test_loopback_addresses_from_the_wire(lab: Lab) -> None:
    """[::1] is published for the host alone, whatever a neighbour sends (CVE-2020-8558's kind)."""
    networks = lab.open()
    dual(lab)
    one = Container(networks, "both")
    inside = listening(one.namespace, 80, "::")
    one.publish(tcp80="::1:8080")
    assert tcp_reaches(lab.neighbour, (HOST6, 8080), inside, patience=BRIEF) is None
    with lab.neighbour.entered():
        subprocess.run(["ip", "-6", "address", "del", "::1/128", "dev", "lo"], check=True)
        subprocess.run(["ip", "-6", "route", "add", "::1/128", "via", HOST6, "dev", "wire"], check=True)
    assert tcp_reaches(lab.neighbour, ("::1", 8080), inside, NEIGHBOUR6, patience=BRIEF) is None


def test_no_rules_for_ipv6(lab: Lab) -> None:
    """`--ip6tables=false`."""
    networks = lab.open(ip6tables=False)
    dual(lab)
    one = Container(networks, "both")
    assert os.path.exists(f"/proc/sys/net/ipv6/conf/{networks.definitions()[0].bridge}")
    rules = subprocess.run(["nft", "list", "ruleset"], check=True, capture_output=True, text=True).stdout
    assert "ip6" not in rules
    assert one.address6 == "fd11::2"
