"""A client's side of a session, in this process: it serves files by fsutil's protocol, rightly or wrongly."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from grpclib.const import Cardinality, Handler
from grpclib.server import Stream

from sampan.buildkit.connections import Caller, serve
from sampan.buildkit.protocol.files_pb2 import Packet, Stat
from sampan.buildkit.sessions import Offer, Session
from sampan.buildkit.synced import METHOD

DIRECTORY = 1 << 31 | 0o755
LINK = 1 << 27 | 0o777


class Files:
    """What the client has: stats in fsutil's order, and bytes by path. `asked` lists what was asked for."""

    def __init__(self, stats: Sequence[Stat], contents: dict[str, bytes]) -> None:
        self.stats = stats
        self.contents = contents
        self.asked: list[str] = []
        self.metadata: dict[str, list[str]] = {}

    async def diff_copy(self, stream: "Stream[Packet, Packet]") -> None:
        """As fsutil's sender, file by file."""
        assert stream.metadata is not None
        self.metadata = {key: [str(one) for one in stream.metadata.getall(key)] for key in stream.metadata}
        for stat in self.stats:
            await stream.send_message(Packet(type=Packet.PACKET_STAT, stat=stat))
        await stream.send_message(Packet(type=Packet.PACKET_STAT))
        while (packet := await stream.recv_message()) is not None:
            if packet.type == Packet.PACKET_FIN:
                await stream.send_message(Packet(type=Packet.PACKET_FIN))
                return
            path = self.stats[packet.ID].path
            self.asked.append(path)
            content = self.contents[path]
            for at in range(0, len(content), 10):
                data = content[at : at + 10]
                await stream.send_message(Packet(type=Packet.PACKET_DATA, ID=packet.ID, data=data))
            await stream.send_message(Packet(type=Packet.PACKET_DATA, ID=packet.ID))


Serving = Callable[["Stream[Packet, Packet]"], object]


@asynccontextmanager
async def session(serving: Serving, shared_key: str = "key") -> AsyncIterator[Session]:
    """A session with a client that answers DiffCopy by `serving`."""
    ours, theirs = socket.socketpair()
    for end in (ours, theirs):
        end.setblocking(False)
    handlers = {METHOD: Handler(serving, Cardinality.STREAM_STREAM, Packet, Packet)}
    client = asyncio.get_running_loop().create_task(serve(theirs, b"", handlers))
    caller = Caller(ours, b"")
    await caller.connect()
    try:
        yield Session(Offer("id", "name", shared_key, frozenset({METHOD.lower()})), caller)
    finally:
        caller.break_off()
        caller.close()
        client.cancel()
        await asyncio.wait([client])
