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


@pytest.mark.parametrize("address", ["10.0.1.2", "10.0.0.0", "10.0.0.7", "x", "::1"])
def test_what_cannot_be_reserved(address: str) -> None:
    with pytest.raises(InvalidParameter):
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


def test_first_free_pool() -> None:
    pools = [ipaddress.IPv4Network(f"172.{number}.0.0/16") for number in (17, 18, 19)]
    taken = [ipaddress.IPv4Network("172.17.9.0/24"), ipaddress.IPv4Network("172.16.0.0/14")]
    assert first_free_pool(pools, taken[:1]) == pools[1]
    assert first_free_pool(pools, taken) is None
    assert first_free_pool(pools, []) == pools[0]
