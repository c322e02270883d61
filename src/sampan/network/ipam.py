"""Addresses of one subnet, the lowest free one first, in memory: the daemon reserves again what its records say."""

import hashlib
import heapq
import ipaddress
from collections.abc import Iterable, Sequence

from sampan.errors import Conflict, Forbidden, InvalidParameter

Subnet = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Addresses:
    """The addresses of `subnet` that containers may have: within `within` where given, never the gateway's or `kept` ones.

    A freed address is the next to be given when it is the lowest, as with Docker's default bridge. `owner` is what an error
    calls the network. Without a gateway (None) nothing but `kept` is kept back.
    """

    def __init__(
        self,
        subnet: Subnet,
        gateway: Address | None,
        within: Subnet | None = None,
        kept: Iterable[Address] = (),
        owner: str = "bridge",
    ) -> None:
        self._owner = owner
        self.subnet = subnet
        self.gateway = gateway
        self._lowest, self._highest = bounds(subnet, within)
        self._next = self._lowest
        self._freed: list[int] = []
        self._kept = {*([int(gateway)] if gateway is not None else []), *(int(address) for address in kept)}
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
        kind = f"IPv{self.subnet.version}"
        raise Conflict(f"no available {kind} addresses on this network's address pools: {self._owner} ({self.subnet})")

    def reserve(self, address: str) -> None:
        """Take this very address. Raises InvalidParameter outside the subnet, Forbidden where it is in use."""
        try:
            wanted = ipaddress.ip_address(address)
            if wanted.version != self.subnet.version:
                raise ValueError(f"{address} is of the other family")
        except ValueError as error:
            raise InvalidParameter(f"invalid IPv{self.subnet.version} address: {address}") from error
        first, last = bounds(self.subnet)
        if wanted not in self.subnet:
            raise InvalidParameter(f"no configured subnet or ip-range contain the IP address {address}")
        if int(wanted) in self._used or not first <= int(wanted) <= last:
            raise Forbidden("Address already in use")
        self._take(int(wanted))

    def release(self, address: str) -> None:
        """Give an address back; one that is not taken, or never given, is left alone."""
        number = int(ipaddress.ip_address(address))
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
        return str(ipaddress.IPv4Address(number) if self.subnet.version == 4 else ipaddress.IPv6Address(number))


def bounds(subnet: Subnet, within: Subnet | None = None) -> tuple[int, int]:
    """The first and the last address of hosts, in `within` where that lies in the subnet.

    IPv4 keeps its broadcast address, both keep the network's own (that of IPv6 is the routers' anycast address, RFC 4291).
    """
    first, last = int(subnet.network_address) + 1, int(subnet.broadcast_address) - (subnet.version == 4)
    if within is not None and contains(subnet, within):
        first, last = max(first, int(within.network_address)), min(last, int(within.broadcast_address))
    return first, last


def contains(outer: Subnet, inner: Subnet) -> bool:
    """Whether `inner` lies in `outer`; never for two families."""
    return inner.version == outer.version and inner.prefixlen >= outer.prefixlen and inner.network_address in outer


def overlap(one: Subnet, other: Subnet) -> bool:
    """Whether they have an address in common; never for two families."""
    return contains(one, other) or contains(other, one)


def mac_of(address: str) -> str:
    """The hardware address that goes with an address: 172.17.0.2 has 02:42:ac:11:00:02, an IPv6 one a digest.

    Neighbours' tables stay true when an address goes to another container, because its hardware address goes with it.
    """
    packed = ipaddress.ip_address(address).packed
    return "02:42:" + (packed if len(packed) == 4 else hashlib.sha256(packed).digest()[:4]).hex(":")


def first_free_pool(base: Subnet, size: int, taken: Sequence[Subnet]) -> Subnet | None:
    """The first subnet of `size` bits in `base` that overlaps none of `taken`.

    What is in the way is stepped over as a whole, so that a pool of a million subnets costs no more than what is taken.
    """
    step = 1 << (base.max_prefixlen - size)
    start, end = int(base.network_address), int(base.broadcast_address)
    while start < end:
        candidate = ipaddress.ip_network((start if base.version == 4 else ipaddress.IPv6Address(start), size))
        hit = next((other for other in taken if overlap(candidate, other)), None)
        if hit is None:
            return candidate
        start = max(start + step, -(-(int(hit.broadcast_address) + 1) // step) * step)
    return None
