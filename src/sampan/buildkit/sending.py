"""Outputs that the client keeps, on their way to it: archives as bytes, a directory by fsutil's protocol with the roles changed.

OutputEvent … OutputEvent(last) ──▶ FileSend/DiffCopy     one call for each output, told apart by its number
"""

import asyncio
import os
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from typing import Self

from grpclib.client import Stream, StreamStreamMethod
from grpclib.exceptions import GRPCError, StreamTerminatedError

from sampan.build.progress import OutputEvent, ResultEvent
from sampan.build.tree.arrival import receive
from sampan.build.tree.index import Index, Node
from sampan.buildkit.protocol.files_pb2 import Packet, Stat
from sampan.buildkit.protocol.session_pb2 import BytesMessage
from sampan.buildkit.sessions import Session
from sampan.errors import InvalidParameter, System
from sampan.files import tar_reader as tar
from sampan.files.writing import write_all

METHOD = "/moby.filesync.v1.FileSend/DiffCopy"
_PIECE = 1024 * 1024
_ID = "buildkit-attachable-exporter-id"
_MODES = {
    tar.FILE: 0,
    tar.DIRECTORY: 1 << 31,
    tar.SYMLINK: 1 << 27 | 0o777,
    tar.BLOCK_DEVICE: 1 << 26,
    tar.CHARACTER: 1 << 26 | 1 << 21,
    tar.FIFO: 1 << 25,
}
"""Go's os.FileMode of each kind."""
_SPECIAL = {0o4000: 1 << 23, 0o2000: 1 << 22, 0o1000: 1 << 20}


class Sending:
    """The outputs of one build. `kinds` by their numbers; `into` is an empty directory for what must lie on the disk."""

    def __init__(self, session: Session, kinds: Sequence[str], into: int) -> None:
        self._session = session
        self._kinds = kinds
        self._into = into
        self._stack = AsyncExitStack()
        self._archives: dict[int, Stream[BytesMessage, BytesMessage]] = {}
        self._trees: dict[int, int] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *fault: object) -> None:
        for descriptor in self._trees.values():
            os.close(descriptor)
        self._trees.clear()
        await self._stack.aclose()

    async def pass_on(self, event: OutputEvent | ResultEvent) -> None:
        """Take a piece; returns when the client has room for more. Raises System, InvalidParameter, OSError."""
        if isinstance(event, ResultEvent):
            return
        try:
            if self._kinds[event.output] == "local":
                await self._tree(event)
            else:
                await self._archive(event)
        except GRPCError as error:
            raise System(f"failed to send the output to the client: {error.message}") from error
        except (StreamTerminatedError, ConnectionError) as error:
            raise System("the client left while its output was sent") from error

    def _check(self) -> None:
        if not self._session.offers(METHOD):
            raise InvalidParameter(f"method {METHOD} not supported by the client")

    async def _archive(self, event: OutputEvent) -> None:
        stream = self._archives.get(event.output)
        if stream is None:
            self._check()
            method = StreamStreamMethod(self._session.caller, METHOD, BytesMessage, BytesMessage)
            stream = await self._stack.enter_async_context(method.open(metadata=[(_ID, str(event.output))]))
            await stream.send_request()
            self._archives[event.output] = stream
        for at in range(0, len(event.data), _PIECE):
            await stream.send_message(BytesMessage(data=event.data[at : at + _PIECE]))
        if event.last:
            await stream.end()
            while await stream.recv_message() is not None:
                pass

    async def _tree(self, event: OutputEvent) -> None:
        if event.output not in self._trees:
            self._check()
            self._trees[event.output] = os.open(b".", os.O_TMPFILE | os.O_RDWR, 0o600, dir_fd=self._into)
        spool = self._trees[event.output]
        write_all(spool, event.data)
        if not event.last:
            return
        os.lseek(spool, 0, os.SEEK_SET)
        content = os.open(b".", os.O_TMPFILE | os.O_RDWR, 0o600, dir_fd=self._into)
        try:
            with open(os.dup(spool), "rb") as archive:
                index = await asyncio.to_thread(receive, archive, content)
            method = StreamStreamMethod(self._session.caller, METHOD, Packet, Packet)
            async with method.open(metadata=[(_ID, str(event.output))]) as stream:
                await stream.send_request()
                await _send(stream, index, content)
        finally:
            os.close(content)


async def _send(stream: Stream[Packet, Packet], index: Index, content: int) -> None:
    """Tell the names in their order, then send what is asked for, until the client has all."""
    files: list[Node] = []
    for path, node in _walk(b"", index.root):
        files.append(node)
        await stream.send_message(Packet(type=Packet.PACKET_STAT, stat=stat_of(path, node)))
    await stream.send_message(Packet(type=Packet.PACKET_STAT))
    while (packet := await stream.recv_message()) is not None:
        if packet.type == Packet.PACKET_FIN:
            await stream.send_message(Packet(type=Packet.PACKET_FIN), end=True)
            return
        if packet.type == Packet.PACKET_ERR:
            raise System(f"error from receiver: {packet.data[:1000].decode('utf-8', 'replace')}")
        if packet.type != Packet.PACKET_REQ or len(files) <= packet.ID or files[packet.ID].kind != tar.FILE:
            raise InvalidParameter(f"the client sent a packet of type {packet.type} for file {packet.ID}")
        node = files[packet.ID]
        for piece in _pieces(node, content):
            await stream.send_message(Packet(type=Packet.PACKET_DATA, ID=packet.ID, data=piece))
        await stream.send_message(Packet(type=Packet.PACKET_DATA, ID=packet.ID))


def _pieces(node: Node, content: int) -> Iterator[bytes]:
    regions = [(0, node.size)] if node.regions is None else node.regions
    at, place = node.offset, 0
    for offset, length in regions:
        yield from _zeros(offset - place)
        for done in range(0, length, _PIECE):
            yield os.pread(content, min(_PIECE, length - done), at + done)
        at, place = at + length, offset + length
    yield from _zeros(node.size - place)


def _zeros(count: int) -> Iterator[bytes]:
    for done in range(0, count, _PIECE):
        yield bytes(min(_PIECE, count - done))


def _walk(prefix: bytes, top: Node) -> Iterator[tuple[bytes, Node]]:
    """Parents first, names in the order that fsutil compares by."""
    for name, node in sorted((top.children or {}).items()):
        path = prefix + name
        yield path, node
        if node.children is not None:
            yield from _walk(path + b"/", node)


def stat_of(path: bytes, node: Node) -> Stat:
    """A file as fsutil tells it."""
    mode = _MODES[node.kind] | node.mode & 0o777
    for bit, special in _SPECIAL.items():
        mode |= special if node.mode & bit else 0
    return Stat(
        path=path.decode("utf-8", "replace"),
        mode=mode,
        size=node.size if node.kind == tar.FILE else 0,
        modTime=node.mtime,
        linkname=node.link.decode("utf-8", "replace") if node.kind == tar.SYMLINK else "",
        devmajor=os.major(node.rdev),
        devminor=os.minor(node.rdev),
        xattrs={os.fsdecode(key): value for key, value in (node.xattrs or {}).items()},
    )
