"""A client of BuildKit's protocol in this process: calls to a daemon, and a session that it calls."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from grpclib.client import UnaryStreamMethod, UnaryUnaryMethod
from grpclib.const import Cardinality, Handler
from grpclib.server import Stream

from sampan.buildkit.connections import Caller, serve
from sampan.buildkit.protocol import control_pb2 as control
from sampan.buildkit.protocol.files_pb2 import Packet, Stat
from sampan.buildkit.synced import METHOD
from tests.daemons import Sampan

CONTROL = "/moby.buildkit.v1.Control/"
GATEWAY = "/moby.buildkit.v1.frontend.LLBBridge/"


def upgraded(engine: Sampan, path: str, *headers: str) -> socket.socket:
    """A connection that speaks HTTP/2 from now on."""
    sock = socket.socket(socket.AF_UNIX)
    try:
        sock.settimeout(20)
        sock.connect(str(engine.socket))
        lines = [f"POST {path} HTTP/1.1", "Host: docker", "Connection: Upgrade", "Upgrade: h2c", *headers]
        sock.sendall("\r\n".join([*lines, "", ""]).encode())
        head = b""
        while not head.endswith(b"\r\n\r\n") and (piece := sock.recv(1)):
            head += piece
        assert head == b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n", head
    except BaseException:
        sock.close()
        raise
    sock.setblocking(False)
    return sock


@asynccontextmanager
async def calling(engine: Sampan) -> AsyncIterator[Caller]:
    caller = Caller(upgraded(engine, "/grpc"), b"")
    await caller.connect()
    try:
        yield caller
    finally:
        caller.break_off()
        caller.close()


Serving = Callable[["Stream[Packet, Packet]"], Awaitable[None]]
"""Answers DiffCopy, rightly or wrongly."""


class Directory:
    """A client's directory: each file in it, whatever is asked for by name."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files

    async def diff_copy(self, stream: "Stream[Packet, Packet]") -> None:
        assert stream.metadata is not None
        followed = stream.metadata.getall("followpaths", [])
        names = sorted(name for name in self.files if not followed or name in followed)
        for name in names:
            stat = Stat(path=name, mode=0o644, size=len(self.files[name]), modTime=10**18)
            await stream.send_message(Packet(type=Packet.PACKET_STAT, stat=stat))
        await stream.send_message(Packet(type=Packet.PACKET_STAT))
        while (packet := await stream.recv_message()) is not None and packet.type != Packet.PACKET_FIN:
            data = self.files[names[packet.ID]]
            await stream.send_message(Packet(type=Packet.PACKET_DATA, ID=packet.ID, data=data))
            await stream.send_message(Packet(type=Packet.PACKET_DATA, ID=packet.ID))
        await stream.send_message(Packet(type=Packet.PACKET_FIN))


@asynccontextmanager
async def offering(engine: Sampan, name: str, directory: "Directory | Serving", **more: Handler) -> AsyncIterator[None]:
    """A session of that id, with further methods by path."""
    serving = directory.diff_copy if isinstance(directory, Directory) else directory
    handlers = {METHOD: Handler(serving, Cardinality.STREAM_STREAM, Packet, Packet), **more}
    methods = ",".join(handlers)
    headers = (f"X-Docker-Expose-Session-Uuid: {name}", f"X-Docker-Expose-Session-Grpc-Method: {methods}")
    sock = upgraded(engine, "/session", *headers)
    task = asyncio.get_running_loop().create_task(serve(sock, b"", handlers))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
        sock.close()  # of a task that never began


async def solve(caller: Caller, ref: str, session: str, **more: object) -> control.SolveResponse:
    method = UnaryUnaryMethod(caller, f"{CONTROL}Solve", control.SolveRequest, control.SolveResponse)
    request = control.SolveRequest(Ref=ref, Session=session, Frontend="dockerfile.v0", **more)  # type: ignore[arg-type]
    return await method(request, timeout=60)


async def status(caller: Caller, ref: str) -> list[control.StatusResponse]:
    method = UnaryStreamMethod(caller, f"{CONTROL}Status", control.StatusRequest, control.StatusResponse)
    return await method(control.StatusRequest(Ref=ref), timeout=60)
