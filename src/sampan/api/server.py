"""Serving an application on listening sockets."""

import asyncio
import socket
import ssl
from collections.abc import Iterable
from dataclasses import dataclass

from sampan.api.application import Application
from sampan.api.connection import Connection
from sampan.api.origin import Origins
from sampan.api.tls import TlsProtocol

_BACKLOG = 512
_KEEPALIVE_SECONDS = 15


@dataclass(frozen=True, slots=True)
class Listening:
    """A bound, listening, non-blocking socket. On TCP requests of web pages are refused; `tls` encrypts it."""

    sock: socket.socket
    tls: ssl.SSLContext | None = None


class Server:
    """Accepts on some sockets until it is closed. The sockets stay open after it: they may outlive the daemon."""

    def __init__(self, application: Application, host_names: frozenset[str] = frozenset()) -> None:
        self._application = application
        self._origins = Origins(host_names)
        self._connections: set[Connection] = set()
        self._servers: list[asyncio.Server] = []

    async def listen(self, sockets: Iterable[Listening]) -> None:
        """Begin to accept on these, too."""
        loop = asyncio.get_running_loop()
        for listening in sockets:
            # The event loop closes what it is given; the caller's socket is to stay.
            own = listening.sock.dup()
            own.setblocking(False)
            if own.family != socket.AF_UNIX:
                _notice_the_dead(own)
            factory = self._factory(listening)
            if own.family == socket.AF_UNIX:
                self._servers.append(await loop.create_unix_server(factory, sock=own, backlog=_BACKLOG))
            else:
                self._servers.append(await loop.create_server(factory, sock=own, backlog=_BACKLOG))

    def _factory(self, listening: Listening) -> "_Factory":
        origins = None if listening.sock.family == socket.AF_UNIX else self._origins
        return _Factory(self._application, origins, self._connections, listening.tls)

    async def close(self, grace: float) -> None:
        """Accept no more, end what only follows, and wait at most `grace` seconds for what is under way."""
        for server in self._servers:
            server.close()
        self._servers.clear()
        tasks = [task for connection in list(self._connections) if (task := connection.shut_down()) is not None]
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=grace)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late, timeout=grace)


def _notice_the_dead(listener: socket.socket) -> None:
    """Connections inherit it: a client whose machine is gone is found out also where nothing is sent to it, as with Go's server."""
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _KEEPALIVE_SECONDS)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, _KEEPALIVE_SECONDS)


@dataclass(frozen=True, slots=True)
class _Factory:
    """Makes the protocol for each accepted connection."""

    application: Application
    origins: Origins | None
    connections: set[Connection]
    tls: ssl.SSLContext | None

    def __call__(self) -> asyncio.Protocol:
        connection = Connection(self.application, self.origins, self.connections)
        return connection if self.tls is None else TlsProtocol(self.tls, connection)
