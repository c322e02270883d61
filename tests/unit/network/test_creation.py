"""Which network a create request means, and what Docker says where it means none."""

import ipaddress
from typing import Any

import pytest

from sampan.errors import Conflict, Forbidden, InvalidParameter, NotFound, NotImplementedHere, SampanError, Unavailable
from sampan.network.creation import define
from sampan.network.definition import NetworkDefinition
from sampan.spec.ids import NetworkId
from sampan.spec.networks import IPAM, ConfigReference, IPAMConfig, NetworkCreateRequest

FREE = ipaddress.IPv4Network("172.18.0.0/16")
HOME = ipaddress.IPv4Network("172.17.0.0/16")


def made(*present: NetworkDefinition, **members: object) -> NetworkDefinition:
    request = NetworkCreateRequest(**{"name": "net", **members})  # type: ignore[arg-type]
    occupied = [HOME, *(one.network for one in present)]
    return define(request, NetworkId("a" * 64), 1, present, occupied, lambda: FREE)


def ipam(subnet: str = "10.9.0.0/24", **members: object) -> IPAM:
    return IPAM(config=(IPAMConfig(subnet=subnet, **members),))  # type: ignore[arg-type]


def test_one_of_the_pools_and_its_first_address() -> None:
    network = made(labels={"a": "b"}, options={"x": "y"}, attachable=True)
    assert (network.subnet, network.gateway, network.bridge) == ("172.18.0.0/16", "172.18.0.1", "sp-aaaaaaaaaaaa")
    assert not network.chosen_subnet
    assert network.labels == {"a": "b"}
    assert network.options == {"x": "y"}


@pytest.mark.parametrize(
    ("members", "gateway"),
    [
        ({}, "10.9.0.1"),
        ({"gateway": "10.9.0.254"}, "10.9.0.254"),
        ({"ip_range": "10.9.0.128/25"}, "10.9.0.128"),
        ({"auxiliary_addresses": {"router": "10.9.0.1"}}, "10.9.0.2"),
    ],
)
def test_a_chosen_subnet(members: dict[str, Any], gateway: str) -> None:
    network = made(ipam=ipam(**members))
    assert (network.subnet, network.gateway) == ("10.9.0.0/24", gateway)
    assert network.chosen_subnet


@pytest.mark.parametrize(
    ("members", "kind", "words"),
    [
        ({"name": ""}, InvalidParameter, "name is empty"),
        ({"name": "a\nb"}, InvalidParameter, "invalid name"),
        ({"name": "n" * 256}, InvalidParameter, "invalid name"),
        ({"name": "bridge"}, Forbidden, "operation is not permitted on predefined bridge network "),
        ({"driver": "fast"}, NotFound, 'plugin "fast" not found'),
        ({"driver": "host"}, Forbidden, 'only one instance of "host" network is allowed'),
        ({"driver": "null"}, Forbidden, 'only one instance of "null" network is allowed'),
        ({"driver": "macvlan"}, NotImplementedHere, "macvlan"),
        ({"driver": "overlay"}, Forbidden, "not a swarm manager"),
        ({"scope": "swarm"}, Unavailable, "not a swarm manager"),
        ({"ingress": True}, Forbidden, "global scope"),
        ({"enable_ipv6": True}, NotImplementedHere, "IPv6"),
        ({"enable_ipv4": False}, InvalidParameter, "IPv4 or IPv6 must be enabled"),
        ({"config_only": True}, NotImplementedHere, "configuration-only"),
        ({"config_from": ConfigReference(network="x")}, NotImplementedHere, "configuration-only"),
        ({"ipam": IPAM(driver="dhcp")}, NotFound, 'plugin "dhcp" not found'),
        ({"ipam": ipam("x")}, InvalidParameter, "invalid subnet x: invalid CIDR block notation"),
        ({"ipam": ipam("10.9.0.5/24")}, InvalidParameter, "it should be 10.9.0.0/24"),
        ({"ipam": ipam("10.9.0.0/31")}, InvalidParameter, "no room"),
        ({"ipam": ipam("0.0.0.0/0")}, InvalidParameter, "no room"),
        ({"ipam": ipam("fd00::/64")}, NotImplementedHere, "IPv6"),
        (
            {"ipam": ipam(gateway="10.8.0.1")},
            InvalidParameter,
            "invalid gateway 10.8.0.1: parent subnet 10.9.0.0/24 doesn't",
        ),
        ({"ipam": ipam(gateway="x")}, InvalidParameter, "invalid gateway x: invalid address"),
        ({"ipam": ipam(gateway="10.9.0.0")}, InvalidParameter, "no address of a host"),
        ({"ipam": ipam(ip_range="10.0.0.0/8")}, InvalidParameter, "bigger than its parent"),
        ({"ipam": ipam(ip_range="10.9.1.0/25")}, InvalidParameter, "doesn't contain ip-range"),
        ({"ipam": ipam(ip_range="10.9.0.1/25")}, InvalidParameter, "it should be 10.9.0.0/25"),
        ({"ipam": ipam(ip_range="10.9.0.1")}, InvalidParameter, "invalid CIDR block notation"),
        ({"ipam": ipam(auxiliary_addresses={"a": "10.1.1.1"})}, InvalidParameter, "invalid auxiliary address a"),
        (
            {"ipam": ipam(gateway="10.9.0.1", auxiliary_addresses={"a": "10.9.0.1"})},
            Forbidden,
            "Address already in use",
        ),
        ({"ipam": ipam("172.17.0.0/24")}, Forbidden, "Pool overlaps with other one on this address space"),
        (
            {"ipam": IPAM(config=(IPAMConfig(subnet="10.1.0.0/24"), IPAMConfig(subnet="10.2.0.0/24")))},
            Forbidden,
            "bridge driver doesn't support multiple subnets",
        ),
        ({"options": {"com.docker.network.driver.mtu": "12"}}, InvalidParameter, "mtu"),
        ({"options": {"com.docker.network.driver.mtu": "x"}}, InvalidParameter, "mtu"),
        ({"options": {"com.docker.network.bridge.enable_icc": "maybe"}}, InvalidParameter, "strconv.ParseBool"),
        ({"options": {"com.docker.network.bridge.host_binding_ipv4": "x"}}, InvalidParameter, "host_binding"),
        ({"options": {"com.docker.network.bridge.name": "a/b"}}, InvalidParameter, "invalid bridge name"),
        ({"options": {"com.docker.network.bridge.name": "b" * 16}}, InvalidParameter, "invalid bridge name"),
        (
            {"options": {"com.docker.network.bridge.gateway_mode_ipv4": "routed"}},
            NotImplementedHere,
            "gateway_mode_ipv4",
        ),
        ({"options": {"a": "b" * 70000}}, InvalidParameter, "too long"),
    ],
)
def test_no_network(members: dict[str, object], kind: type[SampanError], words: str) -> None:
    with pytest.raises(kind) as raised:
        made(**members)
    assert words in str(raised.value)


def test_names_subnets_and_links_are_each_s_own() -> None:
    first = made(ipam=ipam(), options={"com.docker.network.bridge.name": "br9"})
    with pytest.raises(Conflict, match="network with name net already exists"):
        made(first)
    with pytest.raises(Forbidden, match="Pool overlaps"):
        made(first, name="other", ipam=ipam("10.9.0.128/25"))
    with pytest.raises(Forbidden, match="networks have same bridge name"):
        made(first, name="other", options={"com.docker.network.bridge.name": "br9"})
