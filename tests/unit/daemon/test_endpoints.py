"""What a container may ask of a network, and what it is called in it."""

from dataclasses import replace

import pytest

from sampan.daemon import endpoints as places
from sampan.daemon.definition import Definition
from sampan.errors import InvalidParameter
from sampan.network.definition import NetworkDefinition, Pool
from sampan.network.driver import NetworkFacts
from sampan.spec.containers import ContainerConfig
from sampan.spec.host_config import HostConfig
from sampan.spec.ids import ContainerId, NetworkId
from sampan.spec.networks import EndpointIPAMConfig, EndpointSettings


def container(**members: object) -> Definition:
    plain: dict[str, object] = {
        "id": ContainerId("c" * 64), "name": "web", "created_ns": 1, "image": "", "image_id": None, "path": "/",
        "config": ContainerConfig(hostname="www"), "host": HostConfig(network_mode="back"),
    }  # fmt: skip
    return Definition(**{**plain, **members})  # type: ignore[arg-type]


def network(chosen: bool = True) -> NetworkFacts:
    pool = Pool(subnet="10.9.0.0/24") if chosen else None
    definition = NetworkDefinition(
        id=NetworkId("a" * 64),
        name="back",
        created_ns=1,
        subnet="10.9.0.0/24",
        gateway="10.9.0.1",
        bridge="x",
        pool=pool,
    )
    return NetworkFacts("back", definition.id, "bridge", definition=definition)


def with_sysctls(text: str) -> EndpointSettings:
    return EndpointSettings(driver_opts={places.SYSCTLS: text})


def test_what_is_asked() -> None:
    assert places.asked(container()) == {"back": EndpointSettings()}
    assert places.asked(container(unplugged=True)) == {}
    one = {"front": EndpointSettings()}
    assert places.asked(container(endpoints=one)) == one


def test_names() -> None:
    settings = EndpointSettings(aliases=("db", "web"))
    assert places.names(container(), settings) == ("web", "db", "c" * 12, "www")


@pytest.mark.parametrize(
    ("name", "facts", "settings", "words"),
    [
        ("bridge", None, EndpointSettings(aliases=("x",)), "network-scoped alias"),
        ("bridge", None, EndpointSettings(links=("x",)), "links are only supported"),
        ("bridge", None, EndpointSettings(ipam_config=EndpointIPAMConfig(ipv4_address="172.17.0.9")), "user defined"),
        (
            "back",
            network(),
            EndpointSettings(ipam_config=EndpointIPAMConfig(ipv4_address="x")),
            "invalid IPv4 address: x",
        ),
        (
            "back",
            network(),
            EndpointSettings(ipam_config=EndpointIPAMConfig(ipv4_address="10.8.0.1")),
            "no configured subnet or ip-range contain the IP address 10.8.0.1",
        ),
        (
            "back",
            network(chosen=False),
            EndpointSettings(ipam_config=EndpointIPAMConfig(ipv4_address="10.9.0.9")),
            "only when connecting to networks with user configured subnets",
        ),
        (
            "back",
            network(),
            EndpointSettings(ipam_config=EndpointIPAMConfig(ipv6_address="fd00::2")),
            "only when connecting to networks with user configured subnets",
        ),
        (
            "back",
            network(),
            EndpointSettings(ipam_config=EndpointIPAMConfig(ipv6_address="10.9.0.2")),
            "invalid IPv6 address: 10.9.0.2",
        ),
        (
            "back",
            network(),
            EndpointSettings(ipam_config=EndpointIPAMConfig(link_local_ips=("x",))),
            "invalid link-local IP address: x",
        ),
        ("back", network(), with_sysctls("net.ipv4.conf.eth0.forwarding=1"), "unrecognised network interface sysctl"),
        ("back", network(), with_sysctls("net.core.conf.IFNAME.x=1"), "unrecognised network interface sysctl"),
        ("back", network(), with_sysctls("net.ipv4.../IFNAME.x=1"), "unrecognised network interface sysctl"),
        ("back", network(), with_sysctls("net.ipv4.conf.IFNAME.a/b=1"), "unrecognised network interface sysctl"),
        ("back", network(), with_sysctls("net.ipv4.conf.IFNAME.forwarding"), "unrecognised network interface sysctl"),
        ("back", network(), EndpointSettings(driver_opts={places.IFNAME: "a/b"}), "invalid interface name"),
        ("back", network(), EndpointSettings(aliases=("a b",)), "invalid alias"),
        ("back", network(), EndpointSettings(aliases=tuple(f"a{number}" for number in range(65))), "invalid alias"),
        ("back", network(), EndpointSettings(mac_address="x"), "invalid MAC address"),
    ],
)
def test_what_is_refused(name: str, facts: NetworkFacts | None, settings: EndpointSettings, words: str) -> None:
    with pytest.raises(InvalidParameter) as raised:
        places.check(name, settings, facts)
    assert words in str(raised.value)


def test_what_is_granted() -> None:
    settings = EndpointSettings(ipam_config=EndpointIPAMConfig(ipv4_address="10.9.0.7"), aliases=("db",), gw_priority=4)
    places.check("back", settings, network())
    places.check("unborn", settings, None)
    assert places.wish(settings, "02:42:00:00:00:01").mac == "02:42:00:00:00:01"
    places.check("back", EndpointSettings(driver_opts={"a": "b"}), network())
    places.check("back", EndpointSettings(driver_opts={"com.docker.network.endpoint.exposedports": "x"}), network())
    asked = EndpointSettings(driver_opts={places.DNS_SERVERS: "192.0.2.1,2001:db8::1,192.0.2.1"})
    places.check("back", asked, network())
    assert places.servers(asked) == ("192.0.2.1", "2001:db8::1")
    assert places.servers(settings) == ()
    with pytest.raises(InvalidParameter, match=r"dnsservers: 'x\\n' is no IP address"):
        places.check("back", EndpointSettings(driver_opts={places.DNS_SERVERS: "192.0.2.1,x\n"}), network())
    options = {places.IFNAME: "lan", places.SYSCTLS: "net.ipv4.conf.IFNAME.forwarding=1,net.ipv6.conf.ifname.mtu=1400"}
    places.check("back", EndpointSettings(driver_opts=options), network())
    wish = places.wish(EndpointSettings(driver_opts=options))
    assert wish.interface == "lan"
    assert wish.sysctls == (("ipv4.conf.IFNAME.forwarding", "1"), ("ipv6.conf.IFNAME.mtu", "1400"))
    assert places.wish(settings).address == "10.9.0.7"


def test_an_address_of_a_family_that_is_off_is_not_asked_for() -> None:
    settings = EndpointSettings(ipam_config=EndpointIPAMConfig(ipv4_address="10.9.0.7", ipv6_address="2001:389:0:0::7"))
    off = network()
    assert places.wish(settings, facts=off).address6 == ""
    assert places.wish(settings, facts=off).address == "10.9.0.7"
    assert places.wish(settings, facts=replace(off, subnet6="2001:389::/64")).address6 == "2001:389::7"
    assert places.wish(settings).address6 == "2001:389::7", "the network may come into being before the start"
