"""The suite of address drivers."""

from contextlib import suppress
from ipaddress import ip_address, ip_interface, ip_network
from typing import Any, ClassVar

from sampan.drivers.ipam import KIND
from sampan.testing.suite import Refusal, Suite


class IpamDriverSuite(Suite):
    """What Sampan relies on in an address driver. `options` are given with each pool that is asked for."""

    kind: ClassVar[str] = KIND
    options: ClassVar[dict[str, str]] = {}
    pool: ClassVar[str] = "10.211.0.0/29"
    """A small range that the driver gives when it is asked for: the suite exhausts it."""

    def request_pool(self, pool: str = "") -> dict[str, Any]:
        """Checked for its form."""
        space = self.ask("GetDefaultAddressSpaces")["LocalDefaultAddressSpace"]
        found = self.ask("RequestPool", AddressSpace=space, Pool=pool, SubPool="", Options=self.options, V6=False)
        assert found["PoolID"], "a pool has no id"
        ip_network(found["Pool"])
        return found

    def request(self, pool: dict[str, Any], address: str = "") -> str:
        """An address without its prefix, checked to be of the pool."""
        found = self.ask("RequestAddress", PoolID=pool["PoolID"], Address=address, Options={})["Address"]
        given = ip_interface(found)
        assert given.ip in ip_network(pool["Pool"]), f"{found} is not in {pool['Pool']}"
        assert "/" in found, f"{found} has no prefix length"
        return str(given.ip)

    def release(self, pool: dict[str, Any], *addresses: str) -> None:
        """Addresses, and the pool."""
        for address in addresses:
            self.ask("ReleaseAddress", PoolID=pool["PoolID"], Address=address)
        self.ask("ReleasePool", PoolID=pool["PoolID"])

    def test_the_spaces_have_names(self) -> None:
        """Both of them."""
        spaces = self.ask("GetDefaultAddressSpaces")
        assert spaces["LocalDefaultAddressSpace"]
        assert spaces["GlobalDefaultAddressSpace"]
        assert isinstance(self.ask("GetCapabilities"), dict)

    def test_pools_do_not_overlap(self) -> None:
        """Nor does one that is asked for by name get what is given away."""
        pools = [self.request_pool() for _ in range(3)]
        ranges = [ip_network(pool["Pool"]) for pool in pools]
        for number, one in enumerate(ranges):
            assert not any(one.overlaps(other) for other in ranges[number + 1 :])
        self.refused("RequestPool", AddressSpace="", Pool=pools[0]["Pool"], SubPool="", Options=self.options, V6=False)
        for pool in pools:
            self.release(pool)

    def test_a_range_can_be_asked_for(self) -> None:
        """And is the one that was named."""
        pool = self.request_pool(self.pool)
        assert ip_network(pool["Pool"]) == ip_network(self.pool)
        self.release(pool)

    def test_no_address_is_given_twice(self) -> None:
        """Until it is free again; what is left is given to the last, and then there is a refusal."""
        pool = self.request_pool(self.pool)
        given: list[str] = []
        with suppress(Refusal):
            given.extend(self.request(pool) for _ in range(64))
        assert len(given) < 64, "a range of eight addresses has given 64"
        assert len(given) >= 4
        assert len(set(given)) == len(given)
        self.refused("RequestAddress", PoolID=pool["PoolID"], Address=given[0], Options={})
        self.ask("ReleaseAddress", PoolID=pool["PoolID"], Address=given[0])
        assert self.request(pool, given[0]) == given[0]
        self.release(pool, *given)

    def test_an_address_outside_is_refused(self) -> None:
        """One that the pool does not have."""
        pool = self.request_pool(self.pool)
        beyond = str(ip_address(int(ip_network(pool["Pool"]).broadcast_address) + 1))
        self.refused("RequestAddress", PoolID=pool["PoolID"], Address=beyond, Options={})
        self.release(pool)

    def test_what_is_free_may_be_freed_again(self) -> None:
        """The daemon repeats what it is not sure of."""
        pool = self.request_pool(self.pool)
        address = self.request(pool)
        for _ in range(2):
            self.ask("ReleaseAddress", PoolID=pool["PoolID"], Address=address)
        self.release(pool)

    def test_a_daemon_that_is_started_again_finds_all_given(self) -> None:
        """What containers have is not given to others."""
        pool = self.request_pool(self.pool)
        address = self.request(pool)
        if self.begin_anew():
            self.refused("RequestAddress", PoolID=pool["PoolID"], Address=address, Options={})
            assert self.request(pool) != address
        self.release(pool, address)
