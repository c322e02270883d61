"""Which network is the way out, and what interfaces are called."""

from sampan.network.arrangement import arranged, gateway, named, numbered, reached
from sampan.network.endpoint import Endpoint
from sampan.network.plan import VethPlan
from sampan.spec.ids import ContainerId, NetworkId


def end(network: str, number: int, priority: int = 0, internal: bool = False) -> Endpoint:
    way = "" if internal else f"10.{number}.0.1"
    address = f"10.{number}.0.2"
    plan = VethPlan(f"veth{number}", number, "02:00:00:00:00:01", address, 24, way)
    return Endpoint(
        ContainerId("c"), network, NetworkId(network), "e", address, 24, way, plan.mac, plan, priority, internal
    )


def names(endpoints: list[Endpoint]) -> list[tuple[str, str, str]]:
    return [(one.network, one.veth.name, one.veth.gateway) for one in endpoints if one.veth is not None]


def test_the_first_by_name_is_the_way_out() -> None:
    ends = numbered(arranged([end("b", 2), end("a", 1)]))
    assert names(ends) == [("a", "eth0", "10.1.0.1"), ("b", "eth1", "")]
    assert (gateway(ends), reached(ends)) == ("10.1.0.1", "10.1.0.2")


def test_priority_comes_before_the_name_and_internal_ones_last() -> None:
    ends = numbered(arranged([end("a", 1), end("b", 2, priority=5), end("0", 3, priority=9, internal=True)]))
    assert names(ends) == [("b", "eth0", "10.2.0.1"), ("a", "eth1", ""), ("0", "eth2", "")]


def test_internal_networks_alone() -> None:
    ends = numbered(arranged([end("a", 1, internal=True)]))
    assert (gateway(ends), reached(ends)) == ("", "")
    assert (gateway([]), reached([])) == ("", "")


def test_names_that_are_there_stay() -> None:
    present = numbered(arranged([end("a", 1), end("b", 2), end("c", 3)]))
    left = [one for one in present if one.network != "b"]
    assert names([named(end("z", 9), left)])[0][1] == "eth1"
    assert names([named(end("z", 9), present)])[0][1] == "eth3"
    assert [name for _, name, _ in names(arranged([*left, named(end("0", 4), left)]))] == ["eth1", "eth0", "eth2"]


def test_modes_without_a_link() -> None:
    host = Endpoint(ContainerId("c"), "host", NetworkId("h"), "e")
    assert numbered(arranged([host])) == [host]
    assert gateway([host]) == ""
