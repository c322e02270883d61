import ipaddress

import pytest

from sampan.errors import InvalidParameter
from sampan.network.options import default_pools, parse_bip, parse_pool


def test_docker_s_pools() -> None:
    subnets = [str(subnet) for pool in default_pools() for subnet in pool.base.subnets(new_prefix=pool.size)]
    assert subnets[0] == "172.17.0.0/16"
    assert subnets[14:17] == ["172.31.0.0/16", "192.168.0.0/20", "192.168.16.0/20"]
    assert len(subnets) == 31


def test_bip() -> None:
    assert parse_bip("172.30.0.1/16") == ipaddress.IPv4Interface("172.30.0.1/16")


@pytest.mark.parametrize("text", ["172.30.0.1", "172.30.0.0/16", "172.30.0.1/31", "x", "fd00::1/64", ""])
def test_no_bip(text: str) -> None:
    with pytest.raises(InvalidParameter, match="invalid --bip"):
        parse_bip(text)


def test_pool() -> None:
    assert parse_pool("10.0.0.0/8", 24).size == 24


@pytest.mark.parametrize(("base", "size"), [("10.0.0.0/8", 7), ("10.0.0.0/8", 30), ("10.0.0.1/8", 24), ("x", 24)])
def test_no_pool(base: str, size: int) -> None:
    with pytest.raises(InvalidParameter, match="invalid"):
        parse_pool(base, size)
