"""What a network driver is asked. Source: libnetwork's "Remote Drivers" (docs/remote.md), and the requests that Docker sends."""

from typing import Any

import msgspec

from sampan.plugins.plugin import Nothing, Plugin, Reply
from sampan.spec.document import Document, Pairs, sent, wire

KIND = "NetworkDriver"
GENERIC = "com.docker.network.generic"
"""Below it are a network's own options (`-o`)."""
_ID = wire(network_id="NetworkID", endpoint_id="EndpointID")


class Capabilities(Reply, frozen=True):
    """`local` or `global`: who decides about its networks, and how far containers of one reach each other."""

    scope: str = ""
    connectivity_scope: str = ""


class PoolData(Document, frozen=True):
    """The addresses of a network in one family; gateway and auxiliary ones with the prefix of the pool."""

    address_space: str = sent("")
    pool: str = sent("")
    gateway: str = ""
    aux_addresses: Pairs | None = None


class CreateNetwork(
    Document, frozen=True, rename=wire(network_id="NetworkID", ipv4_data="IPv4Data", ipv6_data="IPv6Data")
):
    """A network is made."""

    network_id: str
    options: dict[str, Any] = sent({})
    ipv4_data: tuple[PoolData, ...] = sent(())
    ipv6_data: tuple[PoolData, ...] = sent(())


class Network(Document, frozen=True, rename=_ID):
    """A network is removed."""

    network_id: str


class Interface(Document, frozen=True, rename=wire(address_ipv6="AddressIPv6")):
    """Addresses with their prefix; what is asked with is not to be answered with."""

    address: str = sent("")
    address_ipv6: str = sent("")
    mac_address: str = sent("")


class CreateEndpoint(Document, frozen=True, rename=_ID):
    """A container gets a place."""

    network_id: str
    endpoint_id: str
    interface: Interface = sent(Interface())
    options: dict[str, Any] = sent({})


class CreatedEndpoint(Reply, frozen=True):
    """What the driver chose of what was left open."""

    interface: Interface | None = None


class Endpoint(Document, frozen=True, rename=_ID):
    """The place that is meant."""

    network_id: str
    endpoint_id: str


class Join(Document, frozen=True, rename=_ID):
    """A container is about to stand there; `sandbox_key` names it."""

    network_id: str
    endpoint_id: str
    sandbox_key: str = sent("")
    options: dict[str, Any] = sent({})


class InterfaceName(Document, frozen=True):
    """The link of the host's that becomes the container's, and what it is to be called: a prefix, or all of it."""

    src_name: str = ""
    dst_prefix: str = ""
    dst_name: str = ""


class StaticRoute(Document, frozen=True):
    """`route_type` 0 goes by a next hop, 1 by the link itself."""

    destination: str = ""
    route_type: int = 0
    next_hop: str = ""


class Joined(Reply, frozen=True, rename=wire(gateway_ipv6="GatewayIPv6")):
    """How the container is connected."""

    interface_name: InterfaceName | None = None
    gateway: str = ""
    gateway_ipv6: str = ""
    static_routes: tuple[StaticRoute, ...] = ()
    disable_gateway_service: bool = False


class Connectivity(Document, frozen=True, rename=_ID):
    """The container's ports are to be reached from outside."""

    network_id: str
    endpoint_id: str
    options: dict[str, Any] = sent({})


class OperInfo(Reply, frozen=True):
    """What a driver tells of a place."""

    value: dict[str, Any] = msgspec.field(default_factory=dict)


class NetworkDriver:
    """A plugin as a network driver. Every call raises `plugins.faults.PluginFailed`."""

    def __init__(self, plugin: Plugin) -> None:
        self._plugin = plugin

    async def capabilities(self) -> Capabilities:
        """Docker asks once, when it first uses a driver."""
        return await self._plugin.call("NetworkDriver.GetCapabilities", Document(), Capabilities)

    async def create_network(self, request: CreateNetwork) -> None:
        """Make a network."""
        await self._plugin.call("NetworkDriver.CreateNetwork", request, Nothing)

    async def delete_network(self, network: str) -> None:
        """Remove one."""
        await self._plugin.call("NetworkDriver.DeleteNetwork", Network(network), Nothing)

    async def create_endpoint(self, request: CreateEndpoint) -> Interface:
        """Make a place."""
        answer = await self._plugin.call("NetworkDriver.CreateEndpoint", request, CreatedEndpoint)
        return answer.interface or Interface()

    async def delete_endpoint(self, place: Endpoint) -> None:
        """Remove one."""
        await self._plugin.call("NetworkDriver.DeleteEndpoint", place, Nothing)

    async def oper_info(self, place: Endpoint) -> dict[str, Any]:
        """What it tells of a place."""
        return (await self._plugin.call("NetworkDriver.EndpointOperInfo", place, OperInfo)).value

    async def join(self, request: Join) -> Joined:
        """A container comes."""
        return await self._plugin.call("NetworkDriver.Join", request, Joined)

    async def leave(self, place: Endpoint) -> None:
        """It goes."""
        await self._plugin.call("NetworkDriver.Leave", place, Nothing)

    async def program(self, request: Connectivity) -> None:
        """Let its ports be reached."""
        await self._plugin.call("NetworkDriver.ProgramExternalConnectivity", request, Nothing)

    async def revoke(self, place: Endpoint) -> None:
        """Take that back."""
        await self._plugin.call("NetworkDriver.RevokeExternalConnectivity", place, Nothing)
