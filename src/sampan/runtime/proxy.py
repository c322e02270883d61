"""Published ports that no rule can serve: callers from ::1, and by IPv6 of containers that have IPv4 alone. Part of sampan-net.

The sockets are those that hold the host's ports in the containers' monitors: whoever has lost them borrows them there again.

Loaded by the launcher.
"""

from __future__ import annotations

import os
import socket
import time

from sampan.runtime.callers import speak_for
from sampan.runtime.poller import Poller
from sampan.runtime.proxy_datagrams import DatagramPort
from sampan.runtime.proxy_stream import Relay

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_MOST = 512
"""connections of one container"""
_BURST = 32
_SWEEP_SECONDS = 15.0


class StreamPort:
    """A listening socket. Connections that come by it are put into `relays`, and are the container's: they outlive the port."""

    def __init__(
        self, poller: Poller, sock: socket.socket, target: tuple[str, int], relays: set[Relay], as_caller: bool = False
    ) -> None:
        self._poller = poller
        self._socket = sock
        self._target = target
        self._relays = relays
        self._as_caller = as_caller
        sock.setblocking(False)
        poller.add(sock.fileno(), lambda _events: self._called())

    def close(self) -> None:
        """Take no more; again is allowed."""
        self._poller.remove(self._socket.fileno())
        self._socket.close()

    def sweep(self, now: float) -> None:
        """Nothing goes by itself: TCP says when it ends."""

    def _called(self) -> None:
        for _ in range(_BURST):
            try:
                client, caller = self._socket.accept()
            except OSError:
                return
            if len(self._relays) >= _MOST:
                client.close()
                continue
            client.setblocking(False)
            family = socket.AF_INET6 if ":" in self._target[0] else socket.AF_INET
            try:
                target = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
            except OSError:
                client.close()
                return
            if self._as_caller:
                speak_for(target, str(caller[0]), self._target[0])
            target.connect_ex(self._target)
            for sock in (client, target):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._relays.add(Relay(self._poller, client, target, self._relays.discard))


class _Served:
    """A container's ports, connections, and the pidfd that tells of its end."""

    __slots__ = ("pidfd", "ports", "relays")

    def __init__(self, pidfd: int) -> None:
        self.pidfd = pidfd
        self.ports: list[StreamPort | DatagramPort] = []
        self.relays: set[Relay] = set()


class Proxies:
    """The proxied ports of all containers."""

    def __init__(self, poller: Poller) -> None:
        self._poller = poller
        self._served: dict[str, _Served] = {}
        poller.later(_SWEEP_SECONDS, self._sweep)

    def __len__(self) -> int:
        """How many containers have some."""
        return len(self._served)

    def serve(
        self, container: str, ports: Sequence[Sequence[object]], descriptors: list[int], more: bool = False
    ) -> None:
        """Serve (protocol, address, port) with each of the sockets: in the place of what was served before, or as well (`more`).

        A fourth member, true, where the container is to see callers' addresses.

        Connections that there are go on. `descriptors`, a pidfd and a socket for each port, are taken out of the list as soon as
        they are this one's. Raises OSError, ValueError, TypeError, IndexError.
        """
        wanted = [
            (protocol, (str(address), int(str(number))), bool(as_caller))
            for protocol, address, number, *as_caller in ports
        ]
        pidfd, sockets = descriptors[0], _opened(descriptors[1:])
        descriptors.clear()
        served = self._served.get(container)
        if served is None:
            served = self._served[container] = _Served(pidfd)
            self._poller.add(pidfd, lambda _events: self.forget(container))
        else:
            os.close(pidfd)
        if not more:
            for port in served.ports:
                port.close()
            served.ports.clear()
        for (protocol, target, as_caller), sock in zip(wanted, sockets, strict=True):
            served.ports.append(
                StreamPort(self._poller, sock, target, served.relays, as_caller)
                if protocol == "tcp"
                else DatagramPort(self._poller, sock, target, as_caller)
            )

    def forget(self, container: str) -> None:
        """The container has ended; one that is not known is left alone."""
        served = self._served.pop(container, None)
        if served is None:
            return
        self._poller.remove(served.pidfd)
        os.close(served.pidfd)
        for port in served.ports:
            port.close()
        for relay in list(served.relays):
            relay.close()

    def _sweep(self) -> None:
        now = time.monotonic()
        for served in self._served.values():
            for port in served.ports:
                port.sweep(now)
        self._poller.later(_SWEEP_SECONDS, self._sweep)


def _opened(descriptors: Sequence[int]) -> list[socket.socket]:
    """The sockets; where one is none, all of the descriptors are still the caller's."""
    opened: list[socket.socket] = []
    try:
        opened.extend(socket.socket(fileno=descriptor) for descriptor in descriptors)
    except OSError:
        for sock in opened:
            sock.detach()
        raise
    return opened
