"""Networks on a link of the host: what their options mean, which share a parent, which have a gateway."""

import ipaddress
from dataclasses import replace

import pytest

from sampan.errors import Forbidden, InvalidParameter, SampanError, System
from sampan.network.allotment import Allotment
from sampan.network.creation import define
from sampan.network.definition import NetworkDefinition
from sampan.network.driver import Wish
from sampan.network.endpoint import Endpoint
from sampan.network.parented_options import dummy_name, parented_options
from sampan.spec.ids import ContainerId, NetworkId
from sampan.spec.networks import IPAM, IPAMConfig, NetworkCreateRequest

ID = NetworkId("a" * 64)
OTHER = NetworkId("b" * 64)


def made(driver: str, *present: NetworkDefinition, **members: object) -> NetworkDefinition:
    ipam = IPAM(config=(IPAMConfig(subnet="10.9.0.0/24"),))
    request = NetworkCreateRequest(**{"name": "net", "driver": driver, "ipam": ipam, **members})  # type: ignore[arg-type]
    free = {4: ipaddress.ip_network("172.18.0.0/16"), 6: ipaddress.ip_network("fd11::/64")}
    return define(request, ID, 1, present, [], lambda version: free[version])


def standing(driver: str, **options: str) -> NetworkDefinition:
    """Another network that is there already."""
    return replace(made(driver, options=options, ipam=None), id=OTHER, name="other")


@pytest.mark.parametrize(
    ("driver", "options", "internal", "gateway"),
    [
        ("macvlan", {"parent": "eth0"}, False, "10.9.0.1"),
        ("macvlan", {"parent": "eth0"}, True, ""),
        ("macvlan", {}, False, ""),
        ("ipvlan", {"parent": "eth0"}, False, "10.9.0.1"),
        ("ipvlan", {"parent": "eth0", "ipvlan_mode": "l3"}, False, ""),
        ("ipvlan", {"parent": "eth0", "ipvlan_mode": "l3s"}, False, ""),
    ],
)
def test_who_needs_a_gateway(driver: str, options: dict[str, str], internal: bool, gateway: str) -> None:
    network = made(driver, options=options, internal=internal)
    assert (network.driver, network.subnet, network.gateway, network.bridge) == (driver, "10.9.0.0/24", gateway, "")
    assert network.parent == options.get("parent", dummy_name(driver, ID))
    assert network.internal is internal


def test_a_gateway_that_is_asked_for_is_kept_from_containers() -> None:
    ipam = IPAM(config=(IPAMConfig(subnet="10.9.0.0/24", gateway="10.9.0.7"),))
    assert made("macvlan", ipam=ipam).gateway == "10.9.0.7"


def test_one_without_addresses() -> None:
    network = made("macvlan", enable_ipv4=False, ipam=None)
    assert (network.subnet, network.subnet6, network.subnets) == ("", "", ())


@pytest.mark.parametrize(
    ("driver", "members", "kind", "words"),
    [
        (
            "macvlan",
            {"options": {"macvlan_mode": "loud"}},
            System,
            "requested macvlan mode 'loud' is not valid, 'bridge' mode is the macvlan driver default",
        ),
        (
            "ipvlan",
            {"options": {"ipvlan_mode": "l9"}},
            System,
            "requested ipvlan mode 'l9' is not valid, 'l2' mode is the ipvlan driver default",
        ),
        (
            "ipvlan",
            {"options": {"ipvlan_flag": "l9"}},
            System,
            "requested ipvlan flag 'l9' is not valid, 'bridge' is the ipvlan driver default",
        ),
        ("macvlan", {"options": {"parent": "lo"}}, System, "loopback interface is not a valid macvlan parent link"),
        ("macvlan", {"options": {"a": "b" * 70000}}, InvalidParameter, "the options are too long"),
        (
            "macvlan",
            {"ipam": IPAM(config=(IPAMConfig(subnet="10.1.0.0/16"), IPAMConfig(subnet="10.1.2.0/24")))},
            Forbidden,
            "invalid pool request: Pool overlaps with other one on this address space",
        ),
    ],
)
def test_refused(driver: str, members: dict[str, object], kind: type[SampanError], words: str) -> None:
    with pytest.raises(kind, match="^" + words):
        made(driver, **members)


SEVERAL = IPAM(
    config=(
        IPAMConfig(subnet="10.1.0.0/24", ip_range="10.1.0.252/30"),
        IPAMConfig(subnet="10.2.0.0/24", gateway="10.2.0.9"),
        IPAMConfig(subnet="fd01::/64"),
        IPAMConfig(subnet="fd02::/64"),
    )
)


def test_several_subnets_of_a_family() -> None:
    network = made("macvlan", options={"parent": "eth0"}, ipam=SEVERAL, enable_ipv6=True)
    assert (network.subnet, network.subnet6) == ("10.1.0.0/24", "fd01::/64")
    assert [(one.subnet, one.gateway) for one in network.more] == [
        ("10.2.0.0/24", "10.2.0.9"),
        ("fd02::/64", "fd02::1"),
    ]
    assert [str(one) for one in network.chosen] == ["10.1.0.0/24", "fd01::/64", "10.2.0.0/24", "fd02::/64"]
    # Without IPv6 what was said of it is kept, and means nothing.
    quiet = made("ipvlan", options={"parent": "eth0", "ipvlan_mode": "l3"}, ipam=SEVERAL)
    assert [(one.subnet, one.gateway) for one in quiet.more] == [("10.2.0.0/24", "10.2.0.9"), ("", "")]


def test_addresses_are_given_from_one_subnet_after_the_other() -> None:
    allotted = Allotment("net")
    allotted.provide(ipaddress.ip_network("10.1.0.0/24"), None, ipaddress.ip_network("10.1.0.252/30"))
    allotted.add(ipaddress.ip_network("10.2.0.0/24"), ipaddress.ip_address("10.2.0.1"), None)
    assert allotted.take(Wish(address="10.2.0.76"), (4,), "") == {4: "10.2.0.76"}  # nobody is in that one yet
    given = [allotted.take(Wish(), (4,), "")[4] for _ in range(4)]
    assert given == ["10.1.0.252", "10.1.0.253", "10.1.0.254", "10.2.0.2"]
    assert allotted.take(Wish(address="10.2.0.77"), (4,), "") == {4: "10.2.0.77"}
    with pytest.raises(Forbidden, match="already in use"):
        allotted.take(Wish(address="10.2.0.77"), (4,), "")
    with pytest.raises(InvalidParameter, match="no configured subnet"):
        allotted.take(Wish(address="10.3.0.1"), (4,), "")
    place = Endpoint(ContainerId("c" * 64), "net", ID, "e", address="10.1.0.253")
    allotted.release(place)
    assert allotted.take(Wish(), (4,), "") == {4: "10.1.0.253"}
    allotted.adopt(replace(place, address="10.2.0.3"))
    assert allotted.take(Wish(), (4,), "") == {4: "10.2.0.4"}


def test_what_the_options_of_one_driver_are_is_nothing_to_the_other() -> None:
    options = {"parent": "eth0", "ipvlan_mode": "l9", "com.docker.network.driver.mtu": "x"}
    assert made("macvlan", options=options).options == options
    assert parented_options("macvlan", options).mode == "bridge"


@pytest.mark.parametrize(
    ("wanted", "present", "words"),
    [
        (("macvlan", "bridge"), ("macvlan", "private"), ""),
        (
            ("macvlan", "passthru"),
            ("macvlan", "bridge"),
            f"cannot use mode passthru, macvlan network {OTHER} is already using parent interface eth0",
        ),
        (
            ("macvlan", "vepa"),
            ("macvlan", "passthru"),
            f"macvlan network {OTHER} is already using parent interface eth0 in mode passthru",
        ),
        (("ipvlan", "l3"), ("ipvlan", "l2"), "network di-bbbbbbbbbbbb is already using parent interface eth0"),
        (("ipvlan", "l2"), ("macvlan", "bridge"), ""),
    ],
)
def test_who_shares_a_parent(wanted: tuple[str, str], present: tuple[str, str], words: str) -> None:
    driver, mode = present
    other = standing(driver, **{"parent": "eth0", f"{driver}_mode": mode})
    driver, mode = wanted
    options = {"parent": "eth0", f"{driver}_mode": mode}
    if not words:
        assert made(driver, other, options=options).parent == "eth0"
        return
    with pytest.raises(System, match=f"^{words}$"):
        made(driver, other, options=options)
    assert made(driver, other, options={**options, "parent": "eth1"}).parent == "eth1"
