"""The daemon's hold on sampan-net: made when it is first wanted, found again after a restart, made again when it dies."""

import asyncio
import logging
import os
import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from sampan.runtime.borrowing import borrow, own
from sampan.runtime.channel import Channel, ChannelClosed
from sampan.runtime.launcher_port import LauncherPort
from sampan.runtime.messages import NET_SOCKET, PROTOCOL, Kind, Message
from sampan.runtime.request import Named, ProxiedPort
from sampan.runtime.resolver_filter import filter_of_resolver
from sampan.runtime.start_failure import StartFailed, StartFault
from sampan.spec.ids import ContainerId

_log = logging.getLogger("sampan.runtime")
_BACKLOG = 64
_AGAIN_SECONDS = 0.2
_SOCKETS_EACH = 200
_TRIES = 50


class ResolverPort:
    """Remembers what sampan-net has to know, so that a new one can be told all of it.

    `pidfds` gives a pidfd for each container that runs, `monitor` that of a container's monitor, -1 where it is gone.
    """

    def __init__(
        self,
        launcher: LauncherPort,
        exec_root: str,
        pidfds: Callable[[], Mapping[str, int]],
        monitor: Callable[[str], int],
    ) -> None:
        self._launcher = launcher
        self._exec_root = exec_root
        self._pidfds = pidfds
        self._monitor = monitor
        self._proxied: dict[str, tuple[tuple[ProxiedPort, ...], tuple[socket.socket, ...]]] = {}
        self._known: dict[str, Named] = {}
        self._host_servers: tuple[str, ...] = ()
        self._channel: Channel | None = None
        self._opening: asyncio.Task[None] | None = None
        self._closed = False

    async def ready(self) -> None:
        """Return when there is a sampan-net that knows everything. Raises StartFailed."""
        if self._channel is not None:
            return
        await asyncio.shield(self._open_soon())

    def _open_soon(self) -> "asyncio.Task[None]":
        if self._opening is None or self._opening.done():
            self._opening = asyncio.get_running_loop().create_task(self._open())
        return self._opening

    async def _open(self) -> None:
        sock = self._connect()
        if sock is None:
            await self._make()
            sock = self._connect()
        if sock is None:
            raise StartFailed(StartFault.NETWORK, "sampan-net does not answer")
        self._channel = Channel(sock, _ignore, self._lost)
        self._post(Kind.HELLO, {"protocol": PROTOCOL})
        self._post(Kind.HOST_SERVERS, {"servers": self._host_servers})
        for container, named in self._known.items():
            self._post(Kind.KNOW, _facts(container, named))
        for container, pidfd in self._pidfds().items():
            if container in self._known:
                self._post(Kind.SERVE, {"id": container}, [pidfd])
        for container in list(self._proxied):
            self._post_proxied(container)

    def _connect(self) -> socket.socket | None:
        """To the one that an earlier daemon had made, or ours; None where nobody listens."""
        opened = os.open(self._exec_root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
        try:
            sock.connect(f"/proc/self/fd/{opened}/{NET_SOCKET}")
        except OSError:
            sock.close()
            return None
        finally:
            os.close(opened)
        return sock

    async def _make(self) -> None:
        opened = os.open(self._exec_root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        path = f"/proc/self/fd/{opened}/{NET_SOCKET}"
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
            try:
                with suppress(FileNotFoundError):
                    os.unlink(path)
                listener.bind(path)
                os.chmod(path, 0o600)
                listener.listen(_BACKLOG)
            finally:
                os.close(opened)
            program = filter_of_resolver(os.uname().machine)
            pidfd = await self._launcher.fork(Kind.NET, {"filter": program.hex()}, [listener.fileno()])
        os.close(pidfd)

    def _lost(self) -> None:
        self._channel = None
        if self._closed or not (self._known or self._proxied):
            return
        _log.warning("sampan-net is gone; making another")
        self._try_again()

    def _try_again(self) -> None:
        def tried(task: "asyncio.Task[None]") -> None:
            if not task.cancelled() and (error := task.exception()) is not None and not self._closed:
                _log.error("sampan-net cannot be made: %s", error)
                asyncio.get_running_loop().call_later(_AGAIN_SECONDS, self._try_again)

        if self._channel is None and not self._closed:
            self._open_soon().add_done_callback(tried)

    def _post(self, kind: Kind, body: object, descriptors: Sequence[int] = ()) -> None:
        if self._channel is None:
            return
        try:
            self._channel.post(kind, body, descriptors)
        except ChannelClosed as closed:
            # Its end is heard of by itself, and then everything is said again to the next.
            _log.debug("sampan-net: %s", closed)

    def know(self, container: ContainerId, named: Named) -> None:
        """Say what a container is called, and where; again to change it."""
        self._known[container] = named
        self._post(Kind.KNOW, _facts(container, named))

    def serve(self, container: ContainerId, pidfd: int) -> None:
        """See to it that a running container is served."""
        if container not in self._known:
            return
        if self._channel is None:
            # It is told of all containers when it is there.
            self._try_again()
            return
        self._post(Kind.SERVE, {"id": container}, [pidfd])

    def forget(self, container: ContainerId) -> None:
        """A container has ended; one that is not known is left alone."""
        known, proxied = self._known.pop(container, None), self._proxied.pop(container, None)
        if known is not None or proxied is not None:
            self._post(Kind.FORGET, {"id": container})

    def proxy(self, container: ContainerId, ports: tuple[ProxiedPort, ...], held: Sequence[socket.socket] = ()) -> None:
        """See `port.Runtime.proxy`."""
        if not ports and container not in self._proxied:
            return
        self._proxied[container] = ports, tuple(held)
        if self._channel is None:
            # Callers wait in the sockets' queues meanwhile.
            self._try_again()
            return
        self._post_proxied(container)

    def _post_proxied(self, container: str, tries: int = _TRIES) -> None:
        """Say it, with the sockets. A monitor has them a moment after its container's start only: then it is tried again."""
        pidfd = self._pidfds().get(container, -1)
        if pidfd < 0 or container not in self._proxied:
            return
        ports, held = self._proxied[container]
        keys = {(port.protocol, port.host_ip, port.host_port): port for port in ports}
        try:
            sockets = own(held, keys) or borrow(self._monitor(container), keys)
        except OSError as error:
            _log.warning("published ports of %s are not proxied: %s", container[:12], error)
            return
        if len(sockets) < len(keys) and tries and not self._closed:
            asyncio.get_running_loop().call_later(_AGAIN_SECONDS / 10, self._post_proxied, container, tries - 1)
        try:
            found = list(sockets.items())
            for start in range(0, max(len(found), 1), _SOCKETS_EACH):
                part = found[start : start + _SOCKETS_EACH]
                shown = [_shown(keys[key]) for key, _ in part]
                body = {"id": container, "ports": shown, "more": start > 0}
                self._post(Kind.PROXY, body, [pidfd, *(sock.fileno() for _, sock in part)])
        finally:
            for sock in sockets.values():
                sock.close()

    def use_servers(self, servers: tuple[str, ...]) -> None:
        """Whom to ask what no container is called, in order."""
        if servers != self._host_servers:
            self._host_servers = servers
            self._post(Kind.HOST_SERVERS, {"servers": servers})

    def close(self) -> None:
        """Let go; it goes on while containers run."""
        self._closed = True
        if self._opening is not None:
            self._opening.cancel()
        if self._channel is not None:
            self._channel.close()
            self._channel = None


def _facts(container: str, named: Named) -> dict[str, object]:
    networks = {
        network: {"name": p.name, "addresses": p.addresses, "names": p.names, "internal": p.internal, "links": p.links}
        for network, p in named.networks.items()
    }
    return {"id": container, "networks": networks, "servers": named.servers}


def _shown(port: ProxiedPort) -> list[object]:
    """A sampan-net from before there were callers' addresses reads three members."""
    return [port.protocol, port.address, port.port, *([True] if port.as_caller else [])]


def _ignore(message: Message) -> None:
    """It says nothing."""
    message.close()
