"""Whom a container asks for names, and what its resolv.conf says of it."""

from collections.abc import Sequence

from sampan.daemon import endpoints as places
from sampan.daemon import resolver_files
from sampan.daemon.config import DaemonConfig
from sampan.daemon.definition import Definition
from sampan.network import resolvconf
from sampan.network.endpoint import Endpoint
from sampan.network.modes import Mode, ModeKind, parse_mode
from sampan.spec.host_config import HostConfig


def told(config: DaemonConfig, definition: Definition) -> tuple[str, ...]:
    """Whom a container asks outside, in its own words, its networks' or the daemon's; none for whom the host asks."""
    found = (server for settings in places.asked(definition).values() for server in places.servers(settings))
    return tuple(definition.host.dns or dict.fromkeys(found) or config.dns)


def resolv_conf(config: DaemonConfig, definition: Definition, endpoints: Sequence[Endpoint]) -> str:
    """The file, for a container that stands there."""
    servers = told(config, definition)
    own = resolver(config, definition.host, parse_mode(definition.host.network_mode), servers)
    if all(endpoint.network in places.PREDEFINED for endpoint in endpoints):
        return resolvconf.render(own)
    return resolvconf.render_internal(own, servers or resolver_files.host_resolver(own_loopback=False).servers)


def resolver(config: DaemonConfig, host: HostConfig, mode: Mode, servers: Sequence[str]) -> resolvconf.Resolver:
    """What the file is made from. Raises InvalidParameter for servers and options that are none."""
    own_loopback = mode.kind is not ModeKind.HOST
    return resolvconf.for_container(
        resolver_files.host_resolver(own_loopback),
        servers,
        host.dns_search or config.dns_search,
        host.dns_options or config.dns_opts,
        own_loopback=own_loopback,
    )
