import ipaddress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sampan.errors import Conflict, Forbidden, InvalidParameter
from sampan.network.ipam import Addresses, first_free_pool, mac_of


def small() -> Addresses:
    return Addresses(ipaddress.IPv4Network("10.0.0.0/29"), ipaddress.IPv4Address("10.0.0.1"))


def test_lowest_first_and_the_end() -> None:
    addresses = small()
    assert [addresses.allocate() for _ in range(5)] == [f"10.0.0.{number}" for number in range(2, 7)]
    with pytest.raises(Conflict, match="no available IPv4 addresses"):
        addresses.allocate()
    addresses.release("10.0.0.4")
    addresses.release("10.0.0.3")
    addresses.release("10.0.0.3")
    assert [addresses.allocate(), addresses.allocate()] == ["10.0.0.3", "10.0.0.4"]
    assert len(addresses) == 5


def test_reserved_addresses_are_passed_over() -> None:
    addresses = small()
    addresses.reserve("10.0.0.2")
    addresses.reserve("10.0.0.4")
    assert [addresses.allocate(), addresses.allocate()] == ["10.0.0.3", "10.0.0.5"]
    with pytest.raises(Forbidden, match="Address already in use"):
        addresses.reserve("10.0.0.3")
    addresses.release("10.0.0.2")
    assert addresses.allocate() == "10.0.0.2"


@pytest.mark.parametrize("address", ["10.0.1.2", "x", "::1"])
def test_what_cannot_be_reserved(address: str) -> None:
    with pytest.raises(InvalidParameter):
        small().reserve(address)


@pytest.mark.parametrize("address", ["10.0.0.0", "10.0.0.7"])
def test_the_network_s_own_addresses_are_taken(address: str) -> None:
    with pytest.raises(Forbidden, match="Address already in use"):
        small().reserve(address)


def test_the_gateway_stays() -> None:
    addresses = Addresses(ipaddress.IPv4Network("10.0.0.0/29"), ipaddress.IPv4Address("10.0.0.3"))
    addresses.release("10.0.0.3")
    assert [addresses.allocate() for _ in range(4)] == ["10.0.0.1", "10.0.0.2", "10.0.0.4", "10.0.0.5"]


def test_a_part_of_the_subnet() -> None:
    within = ipaddress.IPv4Network("10.0.0.8/30")
    addresses = Addresses(ipaddress.IPv4Network("10.0.0.0/24"), ipaddress.IPv4Address("10.0.0.1"), within)
    assert [addresses.allocate() for _ in range(4)] == [f"10.0.0.{number}" for number in range(8, 12)]
    with pytest.raises(Conflict):
        addresses.allocate()


@settings(deadline=None, derandomize=True)
@given(st.lists(st.one_of(st.none(), st.integers(0, 20)), max_size=60))
def test_always_the_lowest_free(moves: list[int | None]) -> None:
    """None allocates, a number gives that one of those in use back."""
    addresses = Addresses(ipaddress.IPv4Network("10.0.0.0/24"), ipaddress.IPv4Address("10.0.0.1"))
    used: list[str] = []
    for move in moves:
        if move is None:
            expected = next(f"10.0.0.{number}" for number in range(2, 255) if f"10.0.0.{number}" not in used)
            assert addresses.allocate() == expected
            used.append(expected)
        elif used:
            addresses.release(used.pop(move % len(used)))
    assert len(addresses) == len(used)


def test_mac() -> None:
    assert mac_of("172.17.0.2") == "02:42:ac:11:00:02"
    assert mac_of("fd00::2") == mac_of("fd00:0::2") != mac_of("fd00::3")


def test_ipv6() -> None:
    subnet = ipaddress.IPv6Network("fd00::/64")
    addresses = Addresses(subnet, ipaddress.IPv6Address("fd00::1"), owner="six")
    assert [addresses.allocate(), addresses.allocate()] == ["fd00::2", "fd00::3"]
    addresses.reserve("fd00::ffff:ffff:ffff:ffff")
    with pytest.raises(Forbidden, match="Address already in use"):
        addresses.reserve("fd00:0:0::3")
    with pytest.raises(Forbidden, match="Address already in use"):
        addresses.reserve("fd00::")  # the routers'
    for wrong in ("fd01::2", "10.0.0.1", "x"):
        with pytest.raises(InvalidParameter):
            addresses.reserve(wrong)
    addresses.release("fd00::2")
    assert addresses.allocate() == "fd00::2"
    small = Addresses(ipaddress.IPv6Network("fd00::/126"), None)
    assert [small.allocate() for _ in range(3)] == ["fd00::1", "fd00::2", "fd00::3"]
    with pytest.raises(Conflict, match="no available IPv6 addresses"):
        small.allocate()


def test_first_free_pool() -> None:
    base = ipaddress.ip_network("172.16.0.0/14")
    taken = [ipaddress.ip_network(text) for text in ("172.16.9.0/24", "172.17.0.0/16", "172.19.0.0/16", "fd00::/8")]
    assert str(first_free_pool(base, 16, taken)) == "172.18.0.0/16"
    assert first_free_pool(base, 16, [*taken, ipaddress.ip_network("172.18.0.0/15")]) is None
    assert str(first_free_pool(base, 16, [])) == "172.16.0.0/16"
    local = ipaddress.ip_network("fd11::/48")
    assert str(first_free_pool(local, 64, [ipaddress.ip_network("fd11::/49")])) == "fd11:0:0:8000::/64"
