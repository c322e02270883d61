"""Addresses of one subnet, the lowest free one first, in memory: the daemon reserves again what its records say."""

import heapq
import ipaddress
from collections.abc import Iterable

from sampan.errors import Conflict, Forbidden, InvalidParameter


class Addresses:
    """The addresses of `subnet` that containers may have: within `within` where given, never the gateway's or `kept` ones.

    A freed address is the next to be given when it is the lowest, as with Docker's default bridge. `owner` is what an error
    calls the network.
    """

    def __init__(
        self,
        subnet: ipaddress.IPv4Network,
        gateway: ipaddress.IPv4Address,
        within: ipaddress.IPv4Network | None = None,
        kept: Iterable[ipaddress.IPv4Address] = (),
        owner: str = "bridge",
    ) -> None:
        self._owner = owner
        self.subnet = subnet
        self.gateway = gateway
        pool = within if within is not None and within.subnet_of(subnet) else subnet
        self._lowest = max(int(pool.network_address), int(subnet.network_address) + 1)
        self._highest = min(int(pool.broadcast_address), int(subnet.broadcast_address) - 1)
        self._next = self._lowest
        self._freed: list[int] = []
        self._kept = {int(gateway), *(int(address) for address in kept)}
        self._used = set(self._kept)

    def allocate(self) -> str:
        """The lowest free address. Raises Conflict, in Docker's words, when there is none."""
        while self._freed:
            number = heapq.heappop(self._freed)
            if number not in self._used:
                return self._take(number)
        while self._next <= self._highest:
            number = self._next
            self._next += 1
            if number not in self._used:
                return self._take(number)
        raise Conflict(f"no available IPv4 addresses on this network's address pools: {self._owner} ({self.subnet})")

    def reserve(self, address: str) -> None:
        """Take this very address. Raises InvalidParameter outside the subnet, Forbidden where it is in use."""
        try:
            wanted = ipaddress.IPv4Address(address)
        except ValueError as error:
            raise InvalidParameter(f"invalid IPv4 address: {address}") from error
        if wanted not in self.subnet or wanted in (self.subnet.network_address, self.subnet.broadcast_address):
            raise InvalidParameter(f"no configured subnet or ip-range contain the IP address {address}")
        if int(wanted) in self._used:
            raise Forbidden("Address already in use")
        self._take(int(wanted))

    def release(self, address: str) -> None:
        """Give an address back; one that is not taken, or never given, is left alone."""
        number = int(ipaddress.IPv4Address(address))
        if number in self._kept or number not in self._used:
            return
        self._used.discard(number)
        if self._lowest <= number < self._next:
            heapq.heappush(self._freed, number)

    def __len__(self) -> int:
        """How many containers have one."""
        return len(self._used) - len(self._kept)

    def _take(self, number: int) -> str:
        self._used.add(number)
        return str(ipaddress.IPv4Address(number))


def mac_of(address: str) -> str:
    """The hardware address that goes with an IPv4 address: 172.17.0.2 has 02:42:ac:11:00:02.

    Neighbours' tables stay true when an address goes to another container, because its hardware address goes with it.
    """
    return "02:42:" + ipaddress.IPv4Address(address).packed.hex(":")


def first_free_pool(
    subnets: Iterable[ipaddress.IPv4Network], taken: list[ipaddress.IPv4Network]
) -> ipaddress.IPv4Network | None:
    """The first of `subnets` that overlaps none of `taken`."""
    for subnet in subnets:
        if not any(subnet.overlaps(other) for other in taken):
            return subnet
    return None
