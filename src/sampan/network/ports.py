"""Ports of the host: what was asked for, which are free, and how one is kept from everybody else.

A published port is held by a socket in the container's monitor. A TCP one listens, with a filter that lets nothing in:
listening is the only state that excludes every other socket and yet may be entered while connections of an earlier server
are in TIME_WAIT (SO_REUSEADDR), and `ss -l` shows the port as taken. Connections never reach it; they are translated before.
"""

import errno
import ipaddress
import os
import socket
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from sampan.errors import InvalidParameter, NotImplementedHere, System
from sampan.kernel.sockets import drop_all
from sampan.network.firewall import PROTOCOLS, Forward
from sampan.spec.ports import PortBinding, PortMap

_ANY = "0.0.0.0"
_PORT_LIMIT = 65536
_RANGE_FILE = "/proc/sys/net/ipv4/ip_local_port_range"
_TYPES = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}


class PortTaken(System):
    """A port of the host cannot be had; the text is Docker's, which clients search for "already"."""


@dataclass(frozen=True, slots=True)
class PortRequest:
    """One container port to publish on one of the host's ports `first` to `last`, or on any (both 0)."""

    protocol: str
    port: int
    host_ip: str
    first: int = 0
    last: int = 0


def parse_ports(
    bindings: Mapping[str, Sequence[PortBinding] | None],
    default_ip: str = _ANY,
    exposed: Iterable[str] = (),
) -> tuple[PortRequest, ...]:
    """HostConfig.PortBindings as requests; those of `exposed` (for `-P`) that are not bound get any port.

    Raises InvalidParameter in Docker's words, NotImplementedHere for SCTP and IPv6.
    """
    requests = [
        _request(container, binding, default_ip) for container, several in bindings.items() for binding in several or ()
    ]
    bound = {container for container, several in bindings.items() if several}
    requests += [_request(container, PortBinding(), default_ip) for container in exposed if container not in bound]
    # Exact ports first: a random one must not take what is asked for by number.
    requests.sort(key=lambda request: (request.first == 0, request.first != request.last))
    return tuple(requests)


def _request(container: str, binding: PortBinding, default_ip: str) -> PortRequest:
    number, _, protocol = container.partition("/")
    protocol = (protocol or "tcp").lower()
    if protocol == "sctp":
        raise NotImplementedHere("publishing SCTP ports is not there yet")
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
    return PortRequest(protocol, port, _host_ip(binding.host_ip or default_ip), low, high)


def _number(text: str, shown: str) -> int:
    if not (text.isascii() and text.isdecimal()) or not 0 <= int(text[:6]) < _PORT_LIMIT:
        raise InvalidParameter(f'invalid port specification: "{shown}"')
    return int(text)


def _host_ip(text: str) -> str:
    try:
        address = ipaddress.ip_address(text)
    except ValueError as error:
        raise InvalidParameter(f"invalid IP address: {text}") from error
    if address.version == 6:
        raise NotImplementedHere("publishing on an IPv6 address is not there yet")
    return str(address)


class HostPorts:
    """The ports that this daemon has published; the host's other users are asked by binding."""

    def __init__(self) -> None:
        self._taken: dict[tuple[str, int], set[str]] = {}

    def bind(self, request: PortRequest, address: str) -> tuple[Forward, socket.socket]:
        """The lowest free port of the request, taken and bound. Raises PortTaken."""
        refusal = PortTaken("all ports are allocated")
        for port in self._candidates(request):
            if self._is_taken(request.protocol, request.host_ip, port):
                refusal = PortTaken(f"Bind for {request.host_ip}:{port} failed: port is already allocated")
                continue
            try:
                sock = _hold(request.protocol, request.host_ip, port)
            except OSError as error:
                number = error.errno or errno.EIO
                refusal = PortTaken(
                    f"failed to bind host port for {request.host_ip}:{port}:{address}:{request.port}/{request.protocol}: "
                    + os.strerror(number).lower()
                )
                if number != errno.EADDRINUSE:
                    break
                continue
            forward = Forward(request.protocol, request.host_ip, port, address, request.port)
            self.take(forward)
            return forward, sock
        raise refusal

    def take(self, forward: Forward) -> None:
        """Record a port without binding it: an earlier daemon's, held by a monitor."""
        self._taken.setdefault((forward.protocol, forward.host_port), set()).add(forward.host_ip)

    def give_back(self, forward: Forward) -> None:
        """Forget a port; one that is not taken is left alone."""
        key = forward.protocol, forward.host_port
        addresses = self._taken.get(key, set())
        addresses.discard(forward.host_ip)
        if not addresses:
            self._taken.pop(key, None)

    def _candidates(self, request: PortRequest) -> Iterator[int]:
        if request.first:
            yield from range(request.first, request.last + 1)
            return
        low, high = ephemeral_range()
        for port in range(low, high + 1):
            if (request.protocol, port) not in self._taken:
                yield port

    def _is_taken(self, protocol: str, host_ip: str, port: int) -> bool:
        addresses = self._taken.get((protocol, port), set())
        return bool(addresses) and (host_ip == _ANY or _ANY in addresses or host_ip in addresses)


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
        binding = PortBinding(host_ip=forward.host_ip, host_port=str(forward.host_port))
        answer.setdefault(f"{forward.port}/{forward.protocol}", []).append(binding)
    return {container: tuple(bindings) or None for container, bindings in answer.items()}


def _hold(protocol: str, host_ip: str, port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET, _TYPES[protocol] | socket.SOCK_CLOEXEC)
    try:
        # Before bind: not one packet may be answered.
        drop_all(sock)
        if protocol == "tcp":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host_ip, port))
        if protocol == "tcp":
            sock.listen(1)
    except BaseException:
        sock.close()
        raise
    return sock
