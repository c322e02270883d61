"""Networks as starts and ends of containers need them: `needs.Wiring` over `network.networks`."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from sampan.daemon.config import DaemonConfig
from sampan.daemon.needs import Connected
from sampan.errors import InvalidParameter, NotFound
from sampan.network import hosts, resolvconf
from sampan.network.driver import Wish
from sampan.network.endpoint import Endpoint, Published
from sampan.network.firewall import Forward
from sampan.network.modes import Mode, ModeKind, parse_mode
from sampan.network.networks import Networks
from sampan.network.ports import parse_ports, port_map
from sampan.spec.containers import ContainerConfig
from sampan.spec.host_config import HostConfig
from sampan.spec.ids import ContainerId
from sampan.spec.networks import EndpointSettings

_FILE_LIMIT = 256 * 1024


class Kept(msgspec.Struct, frozen=True):
    """What of a connection outlives the daemon."""

    endpoint: Endpoint
    forwards: tuple[Forward, ...] = ()


@dataclass(slots=True)
class _Live:
    endpoint: Endpoint
    published: Published
    connected: Connected


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Kept)


class NetworkWiring:
    """Implements `needs.Wiring`. Everything runs on the event loop: the calls beneath take microseconds to a few milliseconds."""

    def __init__(self, networks: Networks, config: DaemonConfig) -> None:
        self._networks = networks
        self._config = config
        self._live: dict[ContainerId, _Live] = {}
        self._gateways = config.host_gateway_ips

    def check(self, host: HostConfig, config: ContainerConfig, endpoints: Mapping[str, EndpointSettings]) -> None:
        """See `needs.Wiring`."""
        try:
            mode = _mode(host)
        except NotFound:
            # As in Docker: a network may come into being before the start, which says what is missing then. A 404 of create
            # would have the command look for an image.
            return
        if mode.kind is not ModeKind.CONTAINER:
            parse_ports(host.port_bindings or {}, self._config.publish_ip, _exposed(host, config))
        self._resolver(host, mode)
        hosts.parse_extra_hosts(host.extra_hosts or (), self._gateways or ("0.0.0.0",))
        hosts.hostname_of(config.hostname, config.domainname)
        if endpoints and mode.kind is ModeKind.CONTAINER:
            raise InvalidParameter(
                "conflicting options: cannot attach both user-defined and non-user-defined network-modes"
            )
        for name, settings in endpoints.items():
            _check_endpoint(name, settings, mode)

    async def connect(
        self,
        container: ContainerId,
        name: str,
        config: ContainerConfig,
        host: HostConfig,
        endpoints: Mapping[str, EndpointSettings],
        linked: Sequence[tuple[str, str]] = (),
    ) -> Connected:
        """See `needs.Wiring`."""
        try:
            mode = _mode(host)
        except NotFound as error:
            raise NotFound(f"failed to set up container networking: {error}") from error
        wish = Wish(mac=config.mac_address or _wished_mac(endpoints))
        endpoint = self._networks.connect(container, mode, wish)
        published = Published()
        try:
            if mode.kind is ModeKind.BRIDGE:
                requests = parse_ports(host.port_bindings or {}, self._config.publish_ip, _exposed(host, config))
                published = self._networks.publish(endpoint, name, requests)
            connected = self._connected(endpoint, published, config, host, mode, endpoints, linked)
        except BaseException:
            published.close()
            self._networks.release(endpoint, published.forwards)
            raise
        self._live[container] = _Live(endpoint, published, connected)
        return connected

    def connected(self, container: ContainerId) -> Connected | None:
        """See `needs.Wiring`."""
        live = self._live.get(container)
        return None if live is None else live.connected

    def adopt(self, container: ContainerId, config: ContainerConfig, kept: bytes) -> None:
        """See `needs.Wiring`."""
        record = _decoder.decode(kept)
        self._networks.adopt(record.endpoint, record.forwards)
        published = Published(record.forwards)
        self._live[container] = _Live(
            record.endpoint,
            published,
            Connected(
                settings={record.endpoint.network: _settings(record.endpoint, None)},
                ports=port_map(config.exposed_ports or (), record.forwards),
                kept=kept,
            ),
        )

    def link(self, parent: ContainerId, child: ContainerId, exposed: Iterable[str]) -> None:
        """See `needs.Wiring`."""
        ends = self._live.get(parent), self._live.get(child)
        if ends[0] is not None and ends[1] is not None:
            ports = (text.partition("/") for text in exposed)
            wanted = [(int(number), protocol or "tcp") for number, _, protocol in ports]
            self._networks.link(ends[0].endpoint, ends[1].endpoint, wanted)

    def unlink(self, parent: ContainerId, child: ContainerId) -> None:
        """See `needs.Wiring`."""
        ends = self._live.get(parent), self._live.get(child)
        if ends[0] is not None and ends[1] is not None:
            self._networks.unlink(ends[0].endpoint, ends[1].endpoint)

    def started(self, container: ContainerId) -> None:
        """See `needs.Wiring`."""
        if (live := self._live.get(container)) is not None:
            live.published.close()

    def release(self, container: ContainerId) -> None:
        """See `needs.Wiring`."""
        live = self._live.pop(container, None)
        if live is not None:
            live.published.close()
            self._networks.release(live.endpoint, live.published.forwards)

    def _connected(
        self,
        endpoint: Endpoint,
        published: Published,
        config: ContainerConfig,
        host: HostConfig,
        mode: Mode,
        endpoints: Mapping[str, EndpointSettings],
        linked: Sequence[tuple[str, str]],
    ) -> Connected:
        gateways = self._gateways or ((endpoint.gateway,) if endpoint.gateway else ())
        if mode.kind is ModeKind.HOST and not gateways:
            gateways = ("127.0.0.1",)
        extra = (*hosts.parse_extra_hosts(host.extra_hosts or (), gateways), *linked)
        copy = hosts.host_network_file(_read(hosts.HOST_FILE), extra) if mode.kind is ModeKind.HOST else None
        return Connected(
            veth=endpoint.veth,
            held=published.held,
            hosts=copy or hosts.hosts_file(config.hostname, config.domainname, endpoint.address, extra),
            resolv_conf=resolvconf.render(self._resolver(host, mode)),
            settings={endpoint.network: _settings(endpoint, endpoints.get(endpoint.network))},
            ports=port_map(config.exposed_ports or (), published.forwards) if mode.kind is ModeKind.BRIDGE else {},
            kept=_encoder.encode(Kept(endpoint, published.forwards)),
        )

    def _resolver(self, host: HostConfig, mode: Mode) -> resolvconf.Resolver:
        of_host = _host_resolver(resolvconf.HOST_FILE)
        if resolvconf.uses_stub(of_host) and mode.kind is not ModeKind.HOST:
            of_host = _host_resolver(resolvconf.RESOLVED_FILE)
        return resolvconf.for_container(
            of_host,
            host.dns or self._config.dns,
            host.dns_search or self._config.dns_search,
            host.dns_options or self._config.dns_opts,
            own_loopback=mode.kind is not ModeKind.HOST,
        )


def _mode(host: HostConfig) -> Mode:
    return parse_mode(host.network_mode)


def _exposed(host: HostConfig, config: ContainerConfig) -> tuple[str, ...]:
    return tuple(config.exposed_ports or ()) if host.publish_all_ports else ()


_known: dict[str, tuple[tuple[int, int, int], resolvconf.Resolver]] = {}


def _host_resolver(path: str) -> resolvconf.Resolver:
    """A resolv.conf of the host, parsed once for as long as it stays as it is."""
    try:
        found = os.stat(path)
    except OSError:
        return resolvconf.parse("")
    stamp = (found.st_ino, found.st_size, found.st_mtime_ns)
    known = _known.get(path)
    if known is None or known[0] != stamp:
        known = _known[path] = (stamp, resolvconf.parse(_read(path)))
    return known[1]


def _read(path: str) -> str:
    """A file of the host; empty where it is missing. Bounded."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        return os.read(descriptor, _FILE_LIMIT).decode("utf-8", "replace")
    finally:
        os.close(descriptor)


def _check_endpoint(name: str, settings: EndpointSettings, mode: Mode) -> None:
    if name not in ("bridge", "default", "host", "none"):
        raise InvalidParameter(f"invalid config for network {name}: network {name} not found")
    if name not in (mode.kind.value, "default"):
        raise InvalidParameter(
            "HostConfig.NetworkMode must match the identity of a network in NetworkSettings.Networks"
        )
    ipam = settings.ipam_config
    if ipam is not None and (ipam.ipv4_address or ipam.ipv6_address or ipam.link_local_ips):
        raise InvalidParameter("user specified IP address is supported on user defined networks only")
    if settings.aliases:
        raise InvalidParameter("network-scoped alias is supported only for containers in user defined networks")
    if settings.links:
        raise InvalidParameter("links are only supported for user-defined networks")
    if settings.driver_opts:
        raise InvalidParameter("driver options of an endpoint are not supported on the default networks")


def _wished_mac(endpoints: Mapping[str, EndpointSettings]) -> str:
    return next((settings.mac_address for settings in endpoints.values() if settings.mac_address), "")


def _settings(endpoint: Endpoint, wish: EndpointSettings | None) -> EndpointSettings:
    return msgspec.structs.replace(
        wish or EndpointSettings(),
        mac_address=endpoint.mac,
        network_id=endpoint.network_id,
        endpoint_id=endpoint.endpoint_id,
        gateway=endpoint.gateway,
        ip_address=endpoint.address,
        ip_prefix_len=endpoint.prefix,
    )
