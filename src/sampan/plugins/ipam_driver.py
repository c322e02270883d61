"""What a driver of addresses is asked. Source: libnetwork's "IPAM Driver" (docs/ipam.md), and the requests that Docker sends."""

import msgspec

from sampan.plugins.plugin import Nothing, Plugin, Reply
from sampan.spec.document import Document, Pairs, sent, wire

KIND = "IpamDriver"
_GATEWAY = {"RequestAddressType": "com.docker.network.gateway"}
MAC = "com.docker.network.endpoint.macaddress"
"""The option of a request for an address that a driver gets which needs it (`requires_mac_address`)."""
_POOL = wire(pool_id="PoolID")


class Capabilities(Reply, frozen=True, rename=wire(requires_mac_address="RequiresMACAddress")):
    """What the driver needs."""

    requires_mac_address: bool = False
    requires_request_replay: bool = False


class Spaces(Reply, frozen=True):
    """The names of its address spaces."""

    local_default_address_space: str = ""
    global_default_address_space: str = ""


class RequestPool(Document, frozen=True):
    """A subnet is wanted: this one, or any."""

    address_space: str
    pool: str = sent("")
    sub_pool: str = sent("")
    options: Pairs = sent({})
    v6: bool = sent(False)


class Pool(Reply, frozen=True, rename=_POOL):
    """The subnet that it is, and what the driver calls it."""

    pool_id: str = ""
    pool: str = ""
    data: Pairs = msgspec.field(default_factory=dict)


class PoolName(Document, frozen=True, rename=_POOL):
    """A subnet is given back."""

    pool_id: str


class RequestAddress(Document, frozen=True, rename=_POOL):
    """An address is wanted: this one, or any."""

    pool_id: str
    address: str = sent("")
    options: Pairs = sent({})


class Address(Reply, frozen=True):
    """An address with its prefix."""

    address: str = ""
    data: Pairs = msgspec.field(default_factory=dict)


class ReleaseAddress(Document, frozen=True, rename=_POOL):
    """An address is given back."""

    pool_id: str
    address: str


class IpamDriver:
    """A plugin as a driver of addresses. Every call raises `plugins.faults.PluginFailed`."""

    def __init__(self, plugin: Plugin) -> None:
        self._plugin = plugin

    async def capabilities(self) -> Capabilities:
        """What it needs."""
        return await self._plugin.call("IpamDriver.GetCapabilities", Document(), Capabilities)

    async def local_space(self) -> str:
        """The address space of networks of one host."""
        spaces = await self._plugin.call("IpamDriver.GetDefaultAddressSpaces", Document(), Spaces)
        return spaces.local_default_address_space

    async def request_pool(self, request: RequestPool) -> Pool:
        """A subnet."""
        return await self._plugin.call("IpamDriver.RequestPool", request, Pool)

    async def release_pool(self, pool: str) -> None:
        """Give one back."""
        await self._plugin.call("IpamDriver.ReleasePool", PoolName(pool), Nothing)

    async def request_address(self, pool: str, address: str = "", *, gateway: bool = False, mac: str = "") -> str:
        """An address with its prefix; of a gateway, or of a container whose hardware address is `mac`."""
        options = dict(_GATEWAY) if gateway else {MAC: mac} if mac else {}
        answer = await self._plugin.call("IpamDriver.RequestAddress", RequestAddress(pool, address, options), Address)
        return answer.address

    async def release_address(self, pool: str, address: str) -> None:
        """Give one back; without its prefix."""
        await self._plugin.call("IpamDriver.ReleaseAddress", ReleaseAddress(pool, address), Nothing)
