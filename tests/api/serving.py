"""A server over the in-memory backend on a thread of its own, for clients that block."""

import asyncio
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sampan.api.application import Application
from sampan.api.server import Listening, Server
from sampan.api.table import ROUTES
from tests.api.memory import Memory, memory


@dataclass(frozen=True)
class Served:
    path: Path
    port: int
    memory: Memory
    loop: asyncio.AbstractEventLoop
    secure: bool = False
    """Whether the port speaks TLS."""

    @property
    def url(self) -> str:
        return f"unix://{self.path}"

    def connect(self) -> socket.socket:
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(5)
        sock.connect(str(self.path))
        return sock


def listener(path: Path) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(str(path))
    sock.listen()
    return sock


@contextmanager
def serving(directory: Path, tls: ssl.SSLContext | None = None) -> Iterator[Served]:
    """Serves on a unix socket in `directory` and on a loopback port, the latter with `tls` where given."""
    unix = listener(directory / "api.sock")
    tcp = socket.create_server(("127.0.0.1", 0))
    ready: list[Served] = []
    begun, end = threading.Event(), asyncio.Event()

    async def main() -> None:
        kept = memory()
        server = Server(Application(kept.backend(), ROUTES, "Sampan/1.0.0 (linux)"))
        await server.listen([Listening(unix), Listening(tcp, tls)])
        ready.append(
            Served(directory / "api.sock", tcp.getsockname()[1], kept, asyncio.get_running_loop(), tls is not None)
        )
        begun.set()
        await end.wait()
        await server.close(0.5)

    thread = threading.Thread(target=lambda: asyncio.run(main()))
    thread.start()
    begun.wait(5)
    try:
        yield ready[0]
    finally:
        ready[0].loop.call_soon_threadsafe(end.set)
        thread.join(5)
        unix.close()
        tcp.close()
    assert not thread.is_alive()
