import ipaddress

import pytest

from sampan.errors import InvalidParameter
from sampan.network.options import parse_bip, parse_pool, pools_of
from sampan.spec.ids import InstanceId

ONE = InstanceId("0123456789ab")


def test_docker_s_pools() -> None:
    subnets = [str(subnet) for pool in pools_of(4, (), ONE) for subnet in pool.base.subnets(new_prefix=pool.size)]
    assert subnets[0] == "172.17.0.0/16"
    assert subnets[14:17] == ["172.31.0.0/16", "192.168.0.0/20", "192.168.16.0/20"]
    assert len(subnets) == 31


def test_ipv6_pools_are_the_instance_s_own() -> None:
    (pool,) = pools_of(6, (parse_pool("10.0.0.0/8", 24),), ONE)
    assert (pool.base.prefixlen, pool.size) == (48, 64)
    assert pool.base.subnet_of(ipaddress.IPv6Network("fd00::/8"))  # type: ignore[arg-type]
    assert pools_of(6, (), ONE) == (pool,)
    assert pools_of(6, (), InstanceId("ba9876543210")) != (pool,)
    mine = parse_pool("fd99::/56", 64)
    assert pools_of(6, (mine,), ONE) == (mine,)
    assert pools_of(4, (mine,), ONE) == ()


def test_bip() -> None:
    assert parse_bip("172.30.0.1/16") == ipaddress.IPv4Interface("172.30.0.1/16")


@pytest.mark.parametrize("text", ["172.30.0.1", "172.30.0.0/16", "172.30.0.1/31", "x", "fd00::1/64", ""])
def test_no_bip(text: str) -> None:
    with pytest.raises(InvalidParameter, match="invalid --bip"):
        parse_bip(text)


def test_bip6() -> None:
    assert parse_bip("fd00::1/64", "bip6") == ipaddress.IPv6Interface("fd00::1/64")
    for text in ("172.30.0.1/16", "fd00::/64", "fd00::1"):
        with pytest.raises(InvalidParameter, match="invalid --bip6"):
            parse_bip(text, "bip6")


def test_pool() -> None:
    assert parse_pool("10.0.0.0/8", 24).size == 24


@pytest.mark.parametrize(("base", "size"), [("10.0.0.0/8", 7), ("10.0.0.0/8", 30), ("10.0.0.1/8", 24), ("x", 24)])
def test_no_pool(base: str, size: int) -> None:
    with pytest.raises(InvalidParameter, match="invalid"):
        parse_pool(base, size)
