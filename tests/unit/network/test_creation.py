"""Which network a create request means, and what Docker says where it means none."""

import ipaddress
from typing import Any

import pytest

from sampan.errors import (
    Conflict,
    Forbidden,
    InvalidParameter,
    NotFound,
    NotImplementedHere,
    SampanError,
    System,
    Unavailable,
)
from sampan.network.creation import define
from sampan.network.definition import NetworkDefinition
from sampan.network.settings import user_bridge
from sampan.spec.ids import NetworkId
from sampan.spec.networks import IPAM, ConfigReference, IPAMConfig, NetworkCreateRequest

FREE = ipaddress.IPv4Network("172.18.0.0/16")
FREE6 = ipaddress.IPv6Network("fd11::/64")
HOME = ipaddress.IPv4Network("172.17.0.0/16")


FROM = ConfigReference(network="x")
_BRIDGE = "com.docker.network.bridge"


def made(*present: NetworkDefinition, **members: object) -> NetworkDefinition:
    request = NetworkCreateRequest(**{"name": "net", **members})  # type: ignore[arg-type]
    occupied = [HOME, *(subnet for one in present for subnet in one.subnets)]
    return define(request, NetworkId("a" * 64), 1, present, occupied, lambda version: FREE if version == 4 else FREE6)


def ipam(subnet: str = "10.9.0.0/24", **members: object) -> IPAM:
    return IPAM(config=(IPAMConfig(subnet=subnet, **members),))  # type: ignore[arg-type]


def test_one_of_the_pools_and_its_first_address() -> None:
    network = made(labels={"a": "b"}, options={"x": "y"}, attachable=True)
    assert (network.subnet, network.gateway, network.bridge) == ("172.18.0.0/16", "172.18.0.1", "sp-aaaaaaaaaaaa")
    assert network.chosen == ()
    assert (network.ipv4, network.ipv6, network.subnet6) == (True, False, "")
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
    assert network.chosen == network.subnets


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
        ({"driver": "overlay"}, Forbidden, "not a swarm manager"),
        ({"scope": "swarm"}, Unavailable, "not a swarm manager"),
        ({"ingress": True}, Forbidden, "global scope"),
        ({"enable_ipv4": False}, InvalidParameter, "IPv4 or IPv6 must be enabled"),
        ({"config_only": True, "internal": True}, Forbidden, "configuration network can only contain network specific"),
        ({"config_only": True, "config_from": FROM}, Forbidden, "cannot depend on another configuration network"),
        ({"config_from": FROM}, NotFound, 'configuration network "x" does not exist'),
        ({"config_from": FROM, "labels": {"a": "b"}}, Forbidden, "user specified configurations are not supported"),
        ({"config_from": FROM, "options": {"a": "b"}}, Forbidden, "network driver options are not supported"),
        ({"ipam": IPAM(driver="dhcp")}, NotFound, 'plugin "dhcp" not found'),
        ({"ipam": ipam("x")}, InvalidParameter, "invalid subnet x: invalid CIDR block notation"),
        ({"ipam": ipam("10.9.0.5/24")}, InvalidParameter, "it should be 10.9.0.0/24"),
        ({"ipam": ipam("10.9.0.0/31")}, InvalidParameter, "no room"),
        ({"ipam": ipam("0.0.0.0/0")}, InvalidParameter, "no room"),
        ({"enable_ipv6": True, "ipam": ipam("fd00::1/64")}, InvalidParameter, "it should be fd00::/64"),
        (
            {"enable_ipv6": True, "ipam": ipam("ff02::/64")},
            InvalidParameter,
            "multicast subnet 'ff02::1/64' is not allowed",
        ),
        ({"enable_ipv6": True, "ipam": ipam("fe80::/72")}, InvalidParameter, "clashes with the Link-Local prefix"),
        ({"enable_ipv6": True, "ipam": ipam("fd00::/127")}, InvalidParameter, "no room"),
        (
            {"enable_ipv6": True, "ipam": ipam("fd00::/64", gateway="10.0.0.1")},
            InvalidParameter,
            "invalid gateway 10.0.0.1: parent subnet is an IPv6 block",
        ),
        (
            {"ipam": ipam(gateway="10.8.0.1")},
            InvalidParameter,
            "invalid gateway 10.8.0.1: parent subnet 10.9.0.0/24 doesn't",
        ),
        ({"ipam": ipam(gateway="x")}, InvalidParameter, "invalid gateway x: invalid address"),
        ({"ipam": ipam(gateway="10.9.0.0")}, System, "failed to allocate gateway (10.9.0.0): Address already in use"),
        (
            {"ipam": ipam(gateway="10.9.0.255")},
            System,
            "failed to allocate gateway (10.9.0.255): Address already in use",
        ),
        (
            {"ipam": ipam(auxiliary_addresses={"a": "10.9.0.9", "b": "10.9.0.9"})},
            System,
            "failed to allocate secondary ip address (b:10.9.0.9): Address already in use",
        ),
        (
            {"options": {"com.docker.network.driver.mtu": "x"}},
            InvalidParameter,
            'failed to parse com.docker.network.driver.mtu value: x (strconv.Atoi: parsing "x": invalid syntax)',
        ),
        ({"options": {"com.docker.network.driver.mtu": "-1"}}, InvalidParameter, "invalid MTU number: -1"),
        ({"ipam": ipam(ip_range="10.0.0.0/8")}, InvalidParameter, "bigger than its parent"),
        ({"ipam": ipam(ip_range="10.9.1.0/25")}, InvalidParameter, "doesn't contain ip-range"),
        ({"ipam": ipam(ip_range="10.9.0.1/25")}, InvalidParameter, "it should be 10.9.0.0/25"),
        ({"ipam": ipam(ip_range="10.9.0.1")}, InvalidParameter, "invalid CIDR block notation"),
        ({"ipam": ipam(auxiliary_addresses={"a": "10.1.1.1"})}, InvalidParameter, "invalid auxiliary address a"),
        (
            {"ipam": ipam(gateway="10.9.0.1", auxiliary_addresses={"a": "10.9.0.1"})},
            System,
            "failed to allocate secondary ip address (a:10.9.0.1): Address already in use",
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
            {"options": {"com.docker.network.bridge.gateway_mode_ipv4": "loud"}},
            InvalidParameter,
            "failed to parse com.docker.network.bridge.gateway_mode_ipv4 value: loud (unknown gateway mode loud)",
        ),
        (
            {"options": {"com.docker.network.bridge.gateway_mode_ipv6": "isolated"}},
            System,
            "gateway mode 'isolated' can only be used for an internal network",
        ),
        ({"options": {"com.docker.network.container_iface_prefix": "e/h"}}, InvalidParameter, "iface_prefix"),
        ({"options": {f"{_BRIDGE}.default_bridge": "true"}}, NotImplementedHere, "default_bridge"),
        (
            {"options": {f"{_BRIDGE}.inhibit_ipv4": "x"}},
            InvalidParameter,
            f'failed to parse {_BRIDGE}.inhibit_ipv4 value: x (strconv.ParseBool: parsing "x": invalid syntax)',
        ),
        (
            {"options": {"com.docker.network.host_ipv4": "x"}},
            InvalidParameter,
            "failed to parse com.docker.network.host_ipv4 value: x (nil ip)",
        ),
        ({"options": {"com.docker.network.host_ipv4": "fd00::1"}}, InvalidParameter, "it is no IPv4 address"),
        ({"options": {"com.docker.network.host_ipv6": "10.0.0.1"}}, InvalidParameter, "it is no IPv6 address"),
        ({"options": {f"{_BRIDGE}.trusted_host_interfaces": "eth0:a/b"}}, InvalidParameter, "'a/b' is no name"),
        ({"options": {f"{_BRIDGE}.trusted_host_interfaces": "b" * 16}}, InvalidParameter, "is no name of an interface"),
        (
            {"options": {f"{_BRIDGE}.trusted_host_interfaces": ":".join(f"eth{n}" for n in range(65))}},
            InvalidParameter,
            "more than 64 interfaces",
        ),
        ({"options": {"a": "b" * 70000}}, InvalidParameter, "too long"),
    ],
)
def test_no_network(members: dict[str, object], kind: type[SampanError], words: str) -> None:
    with pytest.raises(kind) as raised:
        made(**members)
    assert words in str(raised.value)


def test_options_that_mean_nothing_are_kept() -> None:
    options = {"com.docker.network.whatever": "1", f"{_BRIDGE}.default_bridge": "false"}
    assert made(options=options).options == options


def test_where_the_host_has_no_address() -> None:
    inhibited = {f"{_BRIDGE}.inhibit_ipv4": "true"}
    open_one = made(options=inhibited)
    assert open_one.gateway == "172.18.0.1"  # containers are told it all the same: somebody else's
    settings = user_bridge(open_one)
    assert settings.ipv4 is not None
    assert (settings.ipv4.interface, str(settings.ipv4.gateway), settings.ipv4.has_address) == (
        None,
        "172.18.0.1",
        False,
    )
    assert made(options=inhibited, internal=True).gateway == ""


def test_names_subnets_and_links_are_each_s_own() -> None:
    first = made(ipam=ipam(), options={"com.docker.network.bridge.name": "br9"})
    with pytest.raises(Conflict, match="network with name net already exists"):
        made(first)
    with pytest.raises(Forbidden, match="Pool overlaps"):
        made(first, name="other", ipam=ipam("10.9.0.128/25"))
    with pytest.raises(Forbidden, match="networks have same bridge name"):
        made(first, name="other", options={"com.docker.network.bridge.name": "br9"})


def test_ipv6() -> None:
    network = made(enable_ipv6=True)
    assert (network.subnet, network.subnet6, network.gateway6) == ("172.18.0.0/16", "fd11::/64", "fd11::1")
    network = made(enable_ipv6=True, enable_ipv4=False, ipam=ipam("fd09::/64", ip_range="fd09::8000/113"))
    assert (network.subnet, network.gateway, network.gateway6) == ("", "", "fd09::8000")
    assert [str(subnet) for subnet in network.chosen] == ["fd09::/64"]
    both = IPAM(config=(IPAMConfig(subnet="fd09::/64", gateway="fd09::9"), IPAMConfig(subnet="10.9.0.0/24")))
    network = made(enable_ipv6=True, ipam=both)
    assert [str(subnet) for subnet in network.subnets] == ["10.9.0.0/24", "fd09::/64"]
    assert (network.gateway, network.gateway6) == ("10.9.0.1", "fd09::9")
    with pytest.raises(Forbidden, match="Pool overlaps"):
        made(network, name="other", enable_ipv6=True, ipam=ipam("fd09:0:0:0:8000::/65"))


def test_ipv6_that_was_not_asked_for_is_kept_and_not_used() -> None:
    network = made(ipam=ipam("fd09::5/64"))
    assert (network.subnet6, network.ipv6) == ("", False)
    assert network.pool6 is not None


def test_families_by_option_and_by_member() -> None:
    options = {"com.docker.network.enable_ipv6": "true"}
    assert made(options=options).ipv6
    network = made(options=options, enable_ipv6=False)
    assert (network.ipv6, network.options) == (False, {})


def test_the_daemon_s_options_are_for_what_is_left_open() -> None:
    request = NetworkCreateRequest(name="net", options={"a": "mine"})
    network = define(request, NetworkId("a" * 64), 1, (), (), lambda _: FREE, {"a": "its", "b": "its"})
    assert network.options == {"a": "mine", "b": "its"}


def test_an_isolated_gateway_is_none() -> None:
    options = {f"com.docker.network.bridge.gateway_mode_ipv{family}": "isolated" for family in "46"}
    network = made(internal=True, enable_ipv6=True, options=options)
    assert (network.subnet, network.gateway, network.subnet6, network.gateway6) == (
        "172.18.0.0/16",
        "",
        "fd11::/64",
        "",
    )


def test_a_configuration_and_a_network_after_it() -> None:
    config = made(
        name="x", config_only=True, enable_ipv6=True, ipam=ipam("fd09::/64"), labels={"a": "b"}, options={"o": "1"}
    )
    assert (config.subnet, config.subnet6, config.bridge, config.config_only) == ("", "", "", True)
    network = made(config, config_from=FROM, attachable=True)
    assert (network.subnet6, network.labels, network.options) == ("fd09::/64", {"a": "b"}, {"o": "1"})
    assert (network.config_from, network.config_only, network.attachable) == ("x", False, True)
