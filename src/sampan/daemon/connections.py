"""What a container gets of its networks, and what inspect shows of them: links, files, ports, settings."""

from collections.abc import Mapping, Sequence

from sampan.daemon import endpoints as places
from sampan.daemon import name_servers, resolver_files
from sampan.daemon.config import DaemonConfig
from sampan.daemon.definition import Definition
from sampan.daemon.needs import Connected
from sampan.errors import InvalidParameter, System
from sampan.network import hosts
from sampan.network.arrangement import ways
from sampan.network.endpoint import Endpoint, Published
from sampan.network.modes import ModeKind, parse_mode
from sampan.network.policy import Forward
from sampan.network.ports import port_map
from sampan.spec.networks import EndpointSettings
from sampan.spec.ports import PortMap


def connected(
    config: DaemonConfig,
    definition: Definition,
    endpoints: Sequence[Endpoint],
    published: Published,
    wishes: Mapping[str, EndpointSettings],
    gateways: Sequence[str],
    linked: Sequence[tuple[str, str]],
) -> Connected:
    """All of it for a start, from `endpoints`, the way out first.

    `wishes` are the settings that were asked for by network, `gateways` what `host-gateway` stands for, `linked` more names and
    their addresses. Raises System.
    """
    own, host = definition.config, definition.host
    pairs = [endpoint.link for endpoint in endpoints if endpoint.link is not None]
    try:
        extra = (*hosts.parse_extra_hosts(host.extra_hosts or (), gateways), *linked)
    except InvalidParameter as error:
        # The names were checked at create: it is the daemon that has no default bridge.
        raise System(str(error)) from error
    copy = None
    if parse_mode(host.network_mode).kind is ModeKind.HOST:
        copy = hosts.host_network_file(resolver_files.read(hosts.HOST_FILE), extra)
    addresses = [address for endpoint in endpoints for address in endpoint.addresses]
    return Connected(
        link=pairs[0] if pairs else None,
        more_links=tuple(pairs[1:]),
        interfaces=tuple(pair.name for pair in pairs),
        held=published.held,
        hosts=copy or hosts.hosts_file(own.hostname, own.domainname, addresses, extra),
        resolver=any(endpoint.network not in places.PREDEFINED for endpoint in endpoints),
        resolv_conf=name_servers.resolv_conf(config, definition, endpoints),
        settings=settings(definition, endpoints, wishes),
        ports=ports(definition, endpoints, published.forwards),
        kept=places.encode_kept(
            places.Kept(endpoints[0] if endpoints else None, published.forwards, tuple(endpoints[1:]))
        ),
    )


def ports(definition: Definition, endpoints: Sequence[Endpoint], forwards: Sequence[Forward]) -> PortMap:
    """What leads nowhere has no ports, not even such as are only exposed (Docker)."""
    if ways(endpoints).published.endpoint is None:
        return {}
    return port_map(definition.config.exposed_ports or (), forwards)


def settings(
    definition: Definition, endpoints: Sequence[Endpoint], wishes: Mapping[str, EndpointSettings]
) -> dict[str, EndpointSettings]:
    """By network, as inspect shows them."""
    found = {}
    for endpoint in endpoints:
        wished = wishes.get(endpoint.network, EndpointSettings())
        named = endpoint.network not in places.PREDEFINED
        found[endpoint.network] = places.shown(endpoint, wished, places.names(definition, wished) if named else None)
    return found
