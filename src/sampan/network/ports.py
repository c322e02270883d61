"""Ports of the host: what was asked for, which are free, and how one is kept from everybody else.

A published port is held by a socket in the container's monitor. A TCP one listens, with a filter that lets nothing in:
listening is the only state that excludes every other socket and yet may be entered while connections of an earlier server
are in TIME_WAIT (SO_REUSEADDR), and `ss -l` shows the port as taken. Connections never reach it; they are translated before.
Where a process serves callers (`Forward.is_proxied`), there is no filter: sampan-net has the same socket.
"""

import errno
import ipaddress
import os
import socket
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from sampan.errors import InvalidParameter, System
from sampan.kernel.sockets import drop_all
from sampan.network.outside import Outside
from sampan.network.policy import ANY, ANY6, LOOPBACK6, Forward
from sampan.network.port_elements import PROTOCOLS
from sampan.spec.ports import PortBinding, PortMap

_PORT_LIMIT = 65536
_BACKLOG = 4096
_RANGE_FILE = "/proc/sys/net/ipv4/ip_local_port_range"
_LOW_PORT = (
    " (an ordinary user's ports begin at net.ipv4.ip_unprivileged_port_start: lower that, or choose a higher port)"
)
_TYPES = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM, "sctp": socket.SOCK_STREAM}


class PortTaken(System):
    """A port of the host cannot be had; the text is Docker's, which clients search for "already"."""


@dataclass(frozen=True, slots=True)
class PortRequest:
    """One container port to publish on one of the host's ports `first` to `last`, or on any (both 0).

    `host_ips` are the addresses of the host that get the same port; one that was not named is "" (`placed` says what it means).
    """

    protocol: str
    port: int
    host_ips: tuple[str, ...]
    first: int = 0
    last: int = 0


@dataclass(frozen=True, slots=True)
class Reach:
    """Where published ports lead, and how: the container's addresses, and whether a family is routed rather than translated.

    `default_ip` is the host's address for ports that name none; the unspecified IPv4 one means both families. `proxy` says
    whether IPv6 callers are proxied to a container that has IPv4 alone; `has_ipv6` whether the host can listen there.
    """

    address: str = ""
    address6: str = ""
    default_ip: str = ANY
    routed: bool = False
    routed6: bool = False
    proxy: bool = True
    has_ipv6: bool = True

    def target6(self, protocol: str) -> str:
        """Where IPv6 callers are led: empty where nothing leads them."""
        return self.address6 or (self.address if self.proxy and protocol != "sctp" else "")


@dataclass(frozen=True, slots=True)
class Placed:
    """One port of the host, on several addresses: (host's address, container's address, whether it is routed)."""

    protocol: str
    port: int
    first: int
    last: int
    targets: tuple[tuple[str, str, bool], ...]


def parse_ports(
    bindings: Mapping[str, Sequence[PortBinding] | None],
    exposed: Iterable[str] = (),
) -> tuple[PortRequest, ...]:
    """HostConfig.PortBindings as requests; those of `exposed` (for `-P`) that are not bound get any port.

    What differs in the host's address alone is one request, as in Docker. Raises InvalidParameter in Docker's words.
    """
    found = [_request(container, binding) for container, several in bindings.items() for binding in several or ()]
    bound = {container for container, several in bindings.items() if several}
    found += [_request(container, PortBinding()) for container in exposed if container not in bound]
    together: dict[tuple[bool, int, str, int, int], PortRequest] = {}
    for one in found:
        # Exact ports first: a random one must not take what is asked for by number.
        key = (one.first == 0 or one.first != one.last, one.port, one.protocol, one.first, one.last)
        before = together.get(key)
        together[key] = one if before is None else replace(before, host_ips=(*before.host_ips, *one.host_ips))
    return tuple(
        replace(together[key], host_ips=tuple(sorted(dict.fromkeys(together[key].host_ips), key=_place)))
        for key in sorted(together)
    )


def published_ports(
    bindings: Mapping[str, Sequence[PortBinding] | None], exposed: Collection[str], every: bool
) -> tuple[PortRequest, ...]:
    """What is published of a container that exposes `exposed`; with `every` (`-P`) each of these.

    Of HostConfig.PortBindings that is what it exposes, as in Docker 28. Commands and docker-py expose what they publish; over
    the API alone a binding of another port is kept and shown, and does nothing. Raises InvalidParameter.
    """
    known = {port: several for port, several in bindings.items() if port in exposed}
    return parse_ports(known, exposed if every else ())


def _place(host_ip: str) -> tuple[int, int]:
    address = ipaddress.ip_address(host_ip) if host_ip else None
    return (0, 0) if address is None else (address.version, int(address))


def _request(container: str, binding: PortBinding) -> PortRequest:
    number, _, protocol = container.partition("/")
    protocol = (protocol or "tcp").lower()
    if protocol not in PROTOCOLS:
        raise InvalidParameter(f"invalid proto: {protocol}")
    port = _number(number, number)
    if port == 0:
        raise InvalidParameter(f'invalid port specification: "{number}"')
    first, dash, last = binding.host_port.partition("-")
    low = _number(first, binding.host_port) if binding.host_port else 0
    high = _number(last, binding.host_port) if dash else low
    if high < low or (dash and low == 0):
        raise InvalidParameter(f'invalid port specification: "{binding.host_port}"')
    return PortRequest(protocol, port, (_host_ip(binding.host_ip),), low, high)


def placed(requests: Iterable[PortRequest], reach: Reach) -> tuple[Placed, ...]:
    """What requests mean for a container: which addresses of the host, leading where. What cannot be is left out, as in Docker:

    IPv4 callers of a container without IPv4, and IPv6 ones of a container without IPv6 where nobody proxies them (SCTP never).
    """
    return tuple(
        Placed(request.protocol, request.port, request.first, request.last, targets)
        for request in requests
        if (targets := tuple(dict.fromkeys(_targets(request, reach))))
    )


def _targets(request: PortRequest, reach: Reach) -> Iterator[tuple[str, str, bool]]:
    """IPv4 first for each address that was named."""
    default6 = ":" in reach.default_ip
    for host_ip in request.host_ips:
        wanted = host_ip or ("" if default6 else reach.default_ip)
        if reach.address and wanted and ":" not in wanted:
            yield ANY if reach.routed else wanted, reach.address, reach.routed
        wanted = host_ip or (
            reach.default_ip if default6 else ANY6 if reach.default_ip == ANY and reach.has_ipv6 else ""
        )
        target = reach.target6(request.protocol)
        if target and ":" in wanted:
            routed = reach.routed6 and bool(reach.address6)
            yield ANY6 if routed else wanted, target, routed


def _number(text: str, shown: str) -> int:
    if not (text.isascii() and text.isdecimal()) or not 0 <= int(text[:6]) < _PORT_LIMIT:
        raise InvalidParameter(f'invalid port specification: "{shown}"')
    return int(text)


def _host_ip(text: str) -> str:
    if not text:
        return ""
    try:
        address = ipaddress.ip_address(text)
    except ValueError as error:
        raise InvalidParameter(f"invalid IP address: {text}") from error
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id:
            raise InvalidParameter(f"invalid IP address: {text}")
        address = address.ipv4_mapped or address
    return str(address)


class HostPorts:
    """The ports that this daemon has published; the host's other users are asked by binding."""

    def __init__(self, outside: Outside | None = None) -> None:
        """`outside` opens sockets where the ports are to be, if that is another network namespace."""
        self._outside = outside
        self._taken: dict[tuple[str, int], set[str]] = {}

    def bind(self, wanted: Placed) -> tuple[list[Forward], list[socket.socket]]:
        """The lowest port that is free on every address, taken and bound there. Raises PortTaken."""
        translated = [target for target in wanted.targets if not target[2]]
        if not translated:
            return _forwards(wanted, 0), []
        refusal = PortTaken("all ports are allocated")
        for port in self._candidates(wanted):
            holders = (self._holder(wanted.protocol, host_ip, port) for host_ip, _, _ in translated)
            if holder := next(filter(None, holders), ""):
                refusal = PortTaken(f"Bind for {holder}:{port} failed: port is already allocated")
                continue
            mine = _forwards(wanted, port, outside=self._outside is not None)
            try:
                held = self._hold_all(forward for forward in mine if forward.host_port)
            except _Refused as error:
                refusal = error
                if error.number != errno.EADDRINUSE:
                    break
                continue
            for forward in mine:
                self.take(forward)
            return mine, held
        raise refusal

    def _hold_all(self, forwards: Iterable[Forward]) -> list[socket.socket]:
        held: list[socket.socket] = []
        for forward in forwards:
            try:
                held.append(_hold(forward, self._open(forward)))
            except OSError as error:
                for sock in held:
                    sock.close()
                number = error.errno or errno.EIO
                reason = os.strerror(number).lower()
                if self._outside is not None and number == errno.EACCES:
                    reason += _LOW_PORT
                if self._outside is not None and number in (errno.ECONNREFUSED, errno.ENOENT):
                    reason = "the keeper, which opens it, is gone (sampan rootless stop, then start)"
                raise _Refused(_refusal(forward) + reason, number) from error
        return held

    def _open(self, forward: Forward) -> socket.socket:
        family = socket.AF_INET6 if forward.is_ipv6 else socket.AF_INET
        if self._outside is not None:
            return self._outside.open(family, forward.protocol)
        return socket.socket(family, _TYPES[forward.protocol] | socket.SOCK_CLOEXEC, PROTOCOLS[forward.protocol])

    def take(self, forward: Forward) -> None:
        """Record a port without binding it: an earlier daemon's, held by a monitor."""
        if forward.host_port:
            self._taken.setdefault((forward.protocol, forward.host_port), set()).add(forward.host_ip)

    def give_back(self, forward: Forward) -> None:
        """Forget a port; one that is not taken is left alone."""
        key = forward.protocol, forward.host_port
        addresses = self._taken.get(key, set())
        addresses.discard(forward.host_ip)
        if not addresses:
            self._taken.pop(key, None)

    def _candidates(self, request: Placed) -> Iterator[int]:
        if request.first:
            yield from range(request.first, request.last + 1)
            return
        low, high = ephemeral_range()
        for port in range(low, high + 1):
            if (request.protocol, port) not in self._taken:
                yield port

    def _holder(self, protocol: str, host_ip: str, port: int) -> str:
        """The address on which we have published the port already, where that excludes `host_ip`; empty where none does."""
        anywhere = ANY6 if ":" in host_ip else ANY
        taken = self._taken.get((protocol, port), set())
        mine = sorted(address for address in taken if (":" in address) == (":" in host_ip))
        if anywhere in mine:
            return anywhere
        return next((address for address in mine if host_ip in (anywhere, address)), "")


def ephemeral_range() -> tuple[int, int]:
    """First and last port of those the host gives out itself (net.ipv4.ip_local_port_range)."""
    with open(_RANGE_FILE) as file:
        low, high = file.read().split()
    return int(low), int(high)


def port_map(exposed: Iterable[str], forwards: Iterable[Forward]) -> PortMap:
    """NetworkSettings.Ports of a running container: what is exposed, and where it is published."""
    answer: dict[str, list[PortBinding]] = {container: [] for container in exposed}
    for forward in forwards:
        if not forward.address:
            continue
        # A port that is routed to has none of the host's.
        shown = str(forward.host_port) if forward.host_port else ""
        binding = PortBinding(host_ip=forward.host_ip, host_port=shown)
        answer.setdefault(f"{forward.port}/{forward.protocol}", []).append(binding)
    return {container: tuple(bindings) or None for container, bindings in answer.items()}


def can_listen_on_ipv6() -> bool:
    """Whether the host has IPv6 at all: only then is a port that names no address published there."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as sock:
            sock.bind((LOOPBACK6, 0))
    except OSError:
        return False
    return True


def _forwards(wanted: Placed, port: int, *, outside: bool = False) -> list[Forward]:
    """Those that are routed to take no port of the host's."""
    return [
        Forward(wanted.protocol, host_ip, 0 if routed else port, address, wanted.port, outside)
        for host_ip, address, routed in wanted.targets
    ]


class _Refused(PortTaken):
    """The host does not let a port be bound."""

    def __init__(self, text: str, number: int) -> None:
        super().__init__(text)
        self.number = number


def _refusal(forward: Forward) -> str:
    where = _pair(forward.host_ip, forward.host_port)
    if forward.protocol == "sctp":
        return f"error starting userland proxy: failed to listen on {where}: "
    return f"failed to bind host port for {where}:{_pair(forward.address, forward.port)}/{forward.protocol}: "


def _pair(host_ip: str, port: int) -> str:
    return f"[{host_ip}]:{port}" if ":" in host_ip else f"{host_ip}:{port}"


def _hold(forward: Forward, sock: socket.socket) -> socket.socket:
    try:
        if forward.is_ipv6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if not forward.is_proxied:
            # Before bind: not one packet may be answered.
            drop_all(sock)
        if forward.protocol == "tcp":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        elif forward.is_proxied:
            # sampan-net lets go a moment after the monitor: the next one may be bound meanwhile.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind((forward.host_ip, forward.host_port))
        if forward.protocol == "tcp":
            sock.listen(_BACKLOG if forward.is_proxied else 1)
    except BaseException:
        sock.close()
        raise
    return sock
