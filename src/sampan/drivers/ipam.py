"""Address drivers: which addresses networks and containers get.

Source: libnetwork's "IPAM driver". Entry points: `sampan.ipam`.
"""

from collections.abc import Mapping
from typing import Protocol

from sampan.drivers.calls import Call, Calls, Nothing
from sampan.spec.document import Document, sent, wire

KIND = "IpamDriver"


class Pool(Document, frozen=True, rename=wire(id="PoolID")):
    """A range of addresses of a network: `pool` in CIDR notation; `id` names it in later calls.

    `data` may have "com.docker.network.gateway", the gateway that the driver has set aside.
    """

    id: str
    pool: str
    data: dict[str, str] | None = None


class IpamDriver(Protocol):
    """All methods may be called from several threads at once. What they raise is told to the user as it reads.

    The process ends with the daemon, and what was given away is in use longer: it is kept in `home`.
    """

    def default_address_spaces(self) -> tuple[str, str]:
        """Names of the spaces of local and of global networks."""
        return "local", "global"

    def request_pool(self, space: str, pool: str, sub_pool: str, options: Mapping[str, str], *, ipv6: bool) -> Pool:
        """Give a network its range: `pool` where the user named one, else one of the driver's choice that overlaps no other.

        `sub_pool` is the part of it (`--ip-range`) that addresses are to be taken from, "" for all.
        """
        ...

    def release_pool(self, pool: str) -> None:
        """The range `pool` (its id) is free again."""
        ...

    def request_address(self, pool: str, address: str, options: Mapping[str, str]) -> str:
        """Give away `address`, or one that is free where it is "". The answer has the prefix's length: 10.0.0.2/24.

        Options have "RequestAddressType": "com.docker.network.gateway" where it is for the gateway.
        """
        ...

    def release_address(self, pool: str, address: str) -> None:
        """It is free again. One that is free already is no fault."""
        ...


class _AskedPool(Document, frozen=True):
    address_space: str = ""
    pool: str = ""
    sub_pool: str = ""
    options: dict[str, str] | None = None
    v6: bool = False


class _AskedAddress(Document, frozen=True, rename=wire(pool_id="PoolID")):
    pool_id: str = ""
    address: str = ""
    options: dict[str, str] | None = None


class _Spaces(Document, frozen=True):
    local_default_address_space: str
    global_default_address_space: str


class _Address(Document, frozen=True):
    address: str
    data: dict[str, str] | None = None


class _Capabilities(Document, frozen=True, rename=wire(requires_mac_address="RequiresMACAddress")):
    requires_mac_address: bool = sent(False)
    requires_request_replay: bool = sent(False)


def calls(driver: IpamDriver) -> Calls:
    """What the plugin protocol asks of an address driver, answered by `driver`."""

    def request_pool(asked: _AskedPool) -> Pool:
        return driver.request_pool(asked.address_space, asked.pool, asked.sub_pool, asked.options or {}, ipv6=asked.v6)

    def release_pool(asked: _AskedAddress) -> Nothing:
        driver.release_pool(asked.pool_id)
        return Nothing()

    def request_address(asked: _AskedAddress) -> _Address:
        return _Address(driver.request_address(asked.pool_id, asked.address, asked.options or {}))

    def release_address(asked: _AskedAddress) -> Nothing:
        driver.release_address(asked.pool_id, asked.address)
        return Nothing()

    return {
        f"{KIND}.GetCapabilities": Call(Nothing, lambda _: _Capabilities()),
        f"{KIND}.GetDefaultAddressSpaces": Call(Nothing, lambda _: _Spaces(*driver.default_address_spaces())),
        f"{KIND}.RequestPool": Call(_AskedPool, request_pool),
        f"{KIND}.ReleasePool": Call(_AskedAddress, release_pool),
        f"{KIND}.RequestAddress": Call(_AskedAddress, request_address),
        f"{KIND}.ReleaseAddress": Call(_AskedAddress, release_address),
    }
