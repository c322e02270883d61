"""The addresses of one network in each family it has: given to containers, all or none, and taken back."""

from __future__ import annotations

import ipaddress
import logging
from typing import TYPE_CHECKING

from sampan.errors import Conflict, Forbidden, InvalidParameter
from sampan.network.ipam import Addresses

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from sampan.network.driver import Wish
    from sampan.network.endpoint import Endpoint
    from sampan.network.ipam import Address, Subnet

_log = logging.getLogger("sampan.network")


class Allotment:
    """`owner` is what errors call the network; `families` are its addresses by version, IPv4 first."""

    def __init__(self, owner: str) -> None:
        self._owner = owner
        self.families: dict[int, Addresses] = {}
        self._more: list[Addresses] = []

    @property
    def subnets(self) -> list[Subnet]:
        """Its subnets, IPv4 first."""
        return [one.subnet for one in (*self.families.values(), *self._more)]

    def add(self, subnet: Subnet, gateway: Address | None, within: Subnet | None, kept: Iterable[Address] = ()) -> None:
        """One more subnet of a family: its addresses are given when those of the subnets before are all taken."""
        self._more.append(Addresses(subnet, gateway, within, kept, self._owner))

    def of(self, address: str) -> Addresses | None:
        """The subnet that an address lies in; None where it lies in none."""
        found = ipaddress.ip_address(address)
        return next((one for one in self._all(found.version) if found in one.subnet), None)

    def _all(self, version: int) -> list[Addresses]:
        first = self.families.get(version)
        return [*([first] if first is not None else []), *(one for one in self._more if one.subnet.version == version)]

    def provide(
        self, subnet: Subnet, gateway: Address | None, within: Subnet | None, kept: Iterable[Address] = ()
    ) -> None:
        """Have a family's addresses to give; those that are given stay so where the subnet is the same."""
        present = self.families.get(subnet.version)
        if present is None or present.subnet != subnet:
            self.families[subnet.version] = Addresses(subnet, gateway, within, kept, self._owner)

    def take(self, wish: Wish, chosen: Collection[int], refusal: str) -> dict[int, str]:
        """An address of each family: the one that is wished for, where the subnet is one of the `chosen` versions, or the next.

        Raises InvalidParameter (with `refusal`), Forbidden, Conflict; then none is taken. A wish of a family that is not there is
        passed over, as in Docker.
        """
        given: dict[int, str] = {}
        try:
            for version in self.families:
                wanted = wish.address if version == 4 else wish.address6
                if wanted and version not in chosen:
                    raise InvalidParameter(refusal)
                if wanted:
                    self._reserve(version, wanted)
                given[version] = wanted or self._next(version)
        except BaseException:
            for address in given.values():
                self._release(address)
            raise
        return given

    def _next(self, version: int) -> str:
        """Raises Conflict where all subnets are full."""
        several = self._all(version)
        for one in several[:-1]:
            try:
                return one.allocate()
            except Conflict:
                continue
        return several[-1].allocate()

    def _reserve(self, version: int, address: str) -> None:
        """Raises InvalidParameter, Forbidden."""
        try:
            found = self.of(address)
        except ValueError:
            found = None
        (found if found is not None else self.families[version]).reserve(address)

    def _release(self, address: str) -> None:
        if (found := self.of(address)) is not None:
            found.release(address)

    def adopt(self, endpoint: Endpoint) -> None:
        """Take over what an earlier daemon gave. An address outside the present subnet (`--bip` was changed) is only logged."""
        for version, address in _given(endpoint):
            try:
                if version in self.families:
                    self._reserve(version, address)
            except (Forbidden, InvalidParameter) as error:
                _log.warning("container %s keeps the address %s: %s", endpoint.container[:12], address, error)

    def release(self, endpoint: Endpoint) -> None:
        """Take back what was given."""
        for _, address in _given(endpoint):
            self._release(address)


def _given(endpoint: Endpoint) -> list[tuple[int, str]]:
    return [(version, address) for version, address in ((4, endpoint.address), (6, endpoint.address6)) if address]
