"""Which network is the way out, and what interfaces are called."""

from dataclasses import replace

from sampan.network.arrangement import arranged, named, numbered, ways
from sampan.network.endpoint import Endpoint
from sampan.network.plan import LinkKind, LinkPlan
from sampan.spec.ids import ContainerId, NetworkId


def end(network: str, number: int, priority: int = 0, internal: bool = False) -> Endpoint:
    way = "" if internal else f"10.{number}.0.1"
    address = f"10.{number}.0.2"
    plan = LinkPlan(f"veth{number}", number, "02:00:00:00:00:01", address, 24, way)
    return Endpoint(
        ContainerId("c"), network, NetworkId(network), "e", address, 24, way, plan.mac, plan, priority, internal
    )


def names(endpoints: list[Endpoint]) -> list[tuple[str, str, str]]:
    return [(one.network, one.link.name, one.link.gateway) for one in endpoints if one.link is not None]


def test_the_first_by_name_is_the_way_out() -> None:
    ends = numbered(arranged([end("b", 2), end("a", 1)]))
    assert names(ends) == [("a", "eth0", "10.1.0.1"), ("b", "eth1", "")]
    assert (ways(ends).gateway, ways(ends).endpoint) == ("10.1.0.1", ends[0])


def test_priority_comes_before_all_else_and_internal_networks_never_lead_out() -> None:
    ends = numbered(arranged([end("a", 1), end("b", 2, priority=5), end("0", 3, internal=True)]))
    assert names(ends) == [("b", "eth0", "10.2.0.1"), ("a", "eth1", ""), ("0", "eth2", "")]
    ends = numbered(arranged([end("a", 1), end("0", 3, priority=9, internal=True)]))
    assert names(ends) == [("0", "eth0", ""), ("a", "eth1", "10.1.0.1")]


def both(network: str, number: int, ipv4: bool = True, ipv6: bool = True) -> Endpoint:
    """With IPv6, or with it alone."""
    one = end(network, number)
    assert one.link is not None
    way, way6 = f"10.{number}.0.1" if ipv4 else "", f"fd00:{number}::1" if ipv6 else ""
    return replace(one, gateway=way, gateway6=way6, link=replace(one.link, gateway=way, gateway6=way6))


def test_the_first_that_leads_out_in_both_families_does_so_in_both() -> None:
    ends = arranged([both("a", 1, ipv6=False), both("b", 2), both("c", 3)])
    assert [one.network for one in ends] == ["b", "c", "a"]
    assert (ways(ends).gateway, ways(ends).gateway6) == ("10.2.0.1", "fd00:2::1")
    ends = arranged([both("z4", 1, ipv6=False), both("b6", 2, ipv4=False), both("c6", 3, ipv4=False)])
    assert [(one.network, one.link.gateway, one.link.gateway6) for one in ends if one.link] == [
        ("b6", "", "fd00:2::1"),
        ("c6", "", ""),
        ("z4", "10.1.0.1", ""),
    ]


def test_chosen_names_and_prefixes() -> None:
    plain = end("a", 1)
    ends = numbered([replace(end("b", 2), interface="eth0"), plain, replace(end("c", 3), interface_prefix="lan")])
    assert [name for _, name, _ in names([replace(ends[0]), *ends[1:]])] == ["eth0", "eth1", "lan0"]


def test_internal_networks_alone() -> None:
    ends = numbered(arranged([end("a", 1, internal=True)]))
    assert ways(ends).endpoint is None
    assert ways([]).gateway == ways([]).gateway6 == ""


def test_names_that_are_there_stay() -> None:
    present = numbered(arranged([end("a", 1), end("b", 2), end("c", 3)]))
    left = [one for one in present if one.network != "b"]
    assert names([named(end("z", 9), left)])[0][1] == "eth1"
    assert names([named(end("z", 9), present)])[0][1] == "eth3"
    assert [name for _, name, _ in names(arranged([*left, named(end("0", 4), left)]))] == ["eth1", "eth0", "eth2"]


def test_modes_without_a_link() -> None:
    host = Endpoint(ContainerId("c"), "host", NetworkId("h"), "e")
    assert numbered(arranged([host])) == [host]
    assert ways([host]).endpoint is None


def parented(network: str, number: int, straight: bool = False) -> Endpoint:
    """On a link of the host; `straight` without a gateway."""
    one = end(network, number, internal=straight)
    assert one.link is not None
    return replace(one, internal=False, straight=straight, link=replace(one.link, kind=LinkKind.MACVLAN, index=77))


def test_one_that_leads_out_by_its_link_alone() -> None:
    ends = arranged([end("b", 2), parented("a", 1, straight=True)])
    assert [(one.network, one.link.gateway, one.link.straight) for one in ends if one.link] == [
        ("a", "", (4,)),
        ("b", "", ()),
    ]
    out = ways(ends)
    assert (out.gateway, out.straight(4), out.straight(6)) == ("", 77, 0)
    ends = arranged([end("b", 2, priority=1), parented("a", 1, straight=True)])
    assert [(one.link.gateway, one.link.straight) for one in ends if one.link] == [("10.2.0.1", ()), ("", ())]
    assert (ways(ends).gateway, ways(ends).straight(4)) == ("10.2.0.1", 0)


def test_ports_are_published_for_bridges_alone() -> None:
    assert ways(arranged([end("b", 2), parented("a", 1)])).published.endpoint is None
    assert ways(arranged([end("a", 2), parented("b", 1)])).published.ipv4 is not None
