"""Network drivers: what a network is on this host, and the interface that a container gets on it.

Source: libnetwork's "Remote drivers". Entry points: `sampan.network`.
"""

from typing import Any, Protocol

from sampan.drivers.calls import Call, Calls, Nothing
from sampan.spec.document import Document, sent, wire

KIND = "NetworkDriver"


class Subnet(Document, frozen=True):
    """`pool` in CIDR notation; `gateway` an address with its prefix's length, "" for none."""

    pool: str = ""
    gateway: str = ""
    address_space: str = ""
    aux_addresses: dict[str, str] | None = None


class Interface(Document, frozen=True, rename=wire(address_ipv6="AddressIPv6")):
    """Addresses of an end point, with prefix lengths; "" for what is not chosen (yet)."""

    address: str = ""
    address_ipv6: str = ""
    mac_address: str = ""


class Route(Document, frozen=True):
    """A route inside the container: by way of `next_hop`, or without one directly on the interface."""

    destination: str
    next_hop: str = ""


class Joined(Document, frozen=True):
    """What becomes the container's: the link `link`, which is in the host's namespace now, renamed to `prefix` and a number.

    Gateways are addresses without prefix lengths, "" for none.
    """

    link: str
    prefix: str = "eth"
    gateway: str = ""
    gateway_ipv6: str = ""
    routes: tuple[Route, ...] = ()


class NetworkDriver(Protocol):
    """All methods may be called from several threads at once. What they raise is told to the user as it reads.

    Ids are Docker's, of 64 letters; a link's name has 15 at most. What is deleted may be gone already: that is no fault.
    """

    scope: str = "local"
    """`local`: a network is this machine's; `global`: others have it, too."""
    connectivity: str = "local"
    """Where end points can reach each other: `local` or `global`."""

    def create_network(
        self, network: str, ipv4: tuple[Subnet, ...], ipv6: tuple[Subnet, ...], options: dict[str, Any]
    ) -> None:
        """Make the network on this host. `options` are those of `docker network create -o`."""
        ...

    def delete_network(self, network: str) -> None:
        """Take it away. It has no end points."""
        ...

    def create_endpoint(self, network: str, endpoint: str, wanted: Interface, options: dict[str, Any]) -> Interface:
        """Make an end point. The answer has what `wanted` leaves open, and nothing that it says: the driver's own choices."""
        ...

    def delete_endpoint(self, network: str, endpoint: str) -> None:
        """Take it away, with its link."""
        ...

    def join(self, network: str, endpoint: str, sandbox: str, options: dict[str, Any]) -> Joined:
        """A container enters. `sandbox` is the path of its network namespace; the daemon moves the link into it."""
        ...

    def leave(self, network: str, endpoint: str) -> None:
        """The container leaves. Its link is back in the host's namespace, or gone with the container's."""
        ...

    def endpoint_status(self, network: str, endpoint: str) -> dict[str, Any]:  # noqa: ARG002 - most have nothing to tell
        """For people; {} where there is nothing to tell."""
        return {}


class _Data(Document, frozen=True, rename=wire(network_id="NetworkID", ipv4_data="IPv4Data", ipv6_data="IPv6Data")):
    network_id: str = ""
    ipv4_data: tuple[Subnet, ...] = ()
    ipv6_data: tuple[Subnet, ...] = ()
    options: dict[str, Any] | None = None


class _End(Document, frozen=True, rename=wire(network_id="NetworkID", endpoint_id="EndpointID")):
    network_id: str = ""
    endpoint_id: str = ""
    sandbox_key: str = ""
    interface: Interface | None = None
    options: dict[str, Any] | None = None


class _Made(Document, frozen=True):
    interface: Interface


class _InterfaceName(Document, frozen=True):
    src_name: str
    dst_prefix: str


class _Route(Document, frozen=True):
    destination: str
    route_type: int = sent(0)
    next_hop: str = ""


class _Joined(Document, frozen=True, rename=wire(gateway_ipv6="GatewayIPv6")):
    interface_name: _InterfaceName
    gateway: str = ""
    gateway_ipv6: str = ""
    static_routes: tuple[_Route, ...] = ()


class _Value(Document, frozen=True):
    value: dict[str, Any] = sent({})


class _Capabilities(Document, frozen=True):
    scope: str
    connectivity_scope: str


_VIA, _ON_LINK = 0, 1
"""Kinds of routes: by way of a next hop, and directly on the interface."""


def calls(driver: NetworkDriver) -> Calls:
    """What the plugin protocol asks of a network driver, answered by `driver`."""

    def create_network(asked: _Data) -> Nothing:
        driver.create_network(asked.network_id, asked.ipv4_data, asked.ipv6_data, asked.options or {})
        return Nothing()

    def delete_network(asked: _Data) -> Nothing:
        driver.delete_network(asked.network_id)
        return Nothing()

    def create_endpoint(asked: _End) -> _Made:
        wanted = asked.interface or Interface()
        return _Made(driver.create_endpoint(asked.network_id, asked.endpoint_id, wanted, asked.options or {}))

    def delete_endpoint(asked: _End) -> Nothing:
        driver.delete_endpoint(asked.network_id, asked.endpoint_id)
        return Nothing()

    def join(asked: _End) -> _Joined:
        return _joined(driver.join(asked.network_id, asked.endpoint_id, asked.sandbox_key, asked.options or {}))

    def leave(asked: _End) -> Nothing:
        driver.leave(asked.network_id, asked.endpoint_id)
        return Nothing()

    def status(asked: _End) -> _Value:
        return _Value(driver.endpoint_status(asked.network_id, asked.endpoint_id))

    def nothing(_: Nothing) -> Nothing:
        """Nodes that come and go, and ports that the daemon publishes itself, are no affair of a driver's."""
        return Nothing()

    return {
        f"{KIND}.GetCapabilities": Call(Nothing, lambda _: _Capabilities(driver.scope, driver.connectivity)),
        f"{KIND}.CreateNetwork": Call(_Data, create_network),
        f"{KIND}.DeleteNetwork": Call(_Data, delete_network),
        f"{KIND}.CreateEndpoint": Call(_End, create_endpoint),
        f"{KIND}.DeleteEndpoint": Call(_End, delete_endpoint),
        f"{KIND}.EndpointOperInfo": Call(_End, status),
        f"{KIND}.Join": Call(_End, join),
        f"{KIND}.Leave": Call(_End, leave),
        f"{KIND}.DiscoverNew": Call(Nothing, nothing),
        f"{KIND}.DiscoverDelete": Call(Nothing, nothing),
        f"{KIND}.ProgramExternalConnectivity": Call(Nothing, nothing),
        f"{KIND}.RevokeExternalConnectivity": Call(Nothing, nothing),
    }


def _joined(joined: Joined) -> _Joined:
    return _Joined(
        _InterfaceName(joined.link, joined.prefix),
        joined.gateway,
        joined.gateway_ipv6,
        tuple(
            _Route(route.destination, _VIA if route.next_hop else _ON_LINK, route.next_hop) for route in joined.routes
        ),
    )
