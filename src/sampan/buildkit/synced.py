"""A context in a client's session: asked for by fsutil's protocol, and only what changed since its last build is sent.

    client: STAT, STAT, … STAT without a file     every file there is, with size and times
    here:   REQ n, REQ m, …                       those that are new or look different
    client: DATA n … DATA n without bytes         each, in pieces, several files at once
    here:   FIN          client: FIN

Contents lie one behind the other in a file that only grows (`Pool`); what is unchanged stays where it is. The tree of names
(`build.tree.index`) is made anew each time: all of it is the client's word, and nothing of it is on the disk yet.
"""

import errno
import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field

from grpclib.client import Stream, StreamStreamMethod
from grpclib.exceptions import GRPCError, StreamTerminatedError

from sampan.build.tree.context import Context
from sampan.build.tree.index import Index, Node
from sampan.buildkit.metadata import encoded
from sampan.buildkit.protocol.files_pb2 import Packet, Stat
from sampan.buildkit.sessions import Session
from sampan.errors import InvalidParameter, System
from sampan.files import tar_reader as tar
from sampan.files.tar_reader import BadArchive, Entry

METHOD = "/moby.filesync.v1.FileSync/DiffCopy"
_CONTEXT_LIMIT = 256 << 30
_RESERVE = 64 << 20
_ASKED = 64
"""Files asked for at once: clients queue 128 before they stop listening."""

# Go's os.FileMode, which fsutil sends as it is.
_TYPES = {
    0: tar.FILE,
    1 << 31: tar.DIRECTORY,
    1 << 27: tar.SYMLINK,
    1 << 26: tar.BLOCK_DEVICE,
    1 << 26 | 1 << 21: tar.CHARACTER,
    1 << 25: tar.FIFO,
}
_TYPE_BITS = 1 << 31 | 1 << 27 | 1 << 26 | 1 << 25 | 1 << 24 | 1 << 21 | 1 << 19
_SPECIAL = {1 << 23: 0o4000, 1 << 22: 0o2000, 1 << 20: 0o1000}


@dataclass(slots=True)
class Known:
    """A file's content in the pool, and what it looked like when it was sent."""

    size: int
    mtime: int
    offset: int
    digest: bytes


@dataclass(slots=True)
class Pool:
    """What one client's directory was at its last build. `spool` is a file without a name; it goes with its last descriptor."""

    spool: int
    end: int = 0
    files: dict[bytes, Known] = field(default_factory=dict)

    @property
    def live(self) -> int:
        """Bytes that are still some file's."""
        return sum(known.size for known in self.files.values())


@dataclass(slots=True)
class _Arriving:
    node: Node
    path: bytes
    size: int
    offset: int
    got: int = 0
    hashed: "hashlib._Hash" = field(default_factory=hashlib.sha256)


class _Sync:
    """One transfer."""

    def __init__(self, pool: Pool, stream: Stream[Packet, Packet]) -> None:
        self._pool = pool
        self._stream = stream
        self._before = pool.files
        self._now: dict[bytes, Known] = {}
        self._wanted: list[tuple[int, bytes, Node]] = []
        self._arriving: dict[int, _Arriving] = {}
        self._total = 0
        self.index = Index()

    async def run(self) -> Index:
        await self._names()
        await self._contents()
        # With our half of the stream: a client that answers on an open one resets it, and its last packets are lost.
        await self._stream.send_message(Packet(type=Packet.PACKET_FIN), end=True)
        while (packet := await self._packet()).type != Packet.PACKET_FIN:
            if packet.type != Packet.PACKET_DATA:
                raise InvalidParameter(f"the client sent a packet of type {packet.type} at the end of a transfer")
        self._pool.files = self._now
        return self.index

    async def _packet(self) -> Packet:
        packet = await self._stream.recv_message()
        if packet is None:
            raise System("the client ended the transfer of its files before they were complete")
        if packet.type == Packet.PACKET_ERR:
            raise System(f"error from sender: {packet.data[:1000].decode('utf-8', 'replace')}")
        return packet

    async def _names(self) -> None:
        number = 0
        while True:
            packet = await self._packet()
            if packet.type != Packet.PACKET_STAT:
                raise InvalidParameter(f"the client sent a packet of type {packet.type} among the names of its files")
            if not packet.HasField("stat"):
                return
            self._take(number, packet.stat)
            number += 1

    def _take(self, number: int, stat: Stat) -> None:
        entry = entry_of(stat)
        node = self.index.add(entry)
        if node is None or entry.kind != tar.FILE:
            return
        self._total += entry.size
        if self._total > _CONTEXT_LIMIT:
            raise BadArchive(f"the build context is larger than {_CONTEXT_LIMIT} bytes")
        known = self._before.get(entry.name)
        if known is not None and (known.size, known.mtime) == (entry.size, entry.mtime):
            node.offset, node.digest = known.offset, known.digest
            self._now[entry.name] = known
        else:
            self._wanted.append((number, entry.name, node))

    async def _contents(self) -> None:
        waiting = iter(self._wanted)
        self._check_room(sum(node.size for _, _, node in self._wanted))
        more = True
        while True:
            while more and len(self._arriving) < _ASKED:
                wanted = next(waiting, None)
                if wanted is None:
                    more = False
                    break
                await self._ask(*wanted)
            if not self._arriving:
                return
            self._data(await self._packet())

    async def _ask(self, number: int, path: bytes, node: Node) -> None:
        self._arriving[number] = _Arriving(node, path, node.size, self._pool.end)
        self._pool.end += node.size
        await self._stream.send_message(Packet(type=Packet.PACKET_REQ, ID=number))

    def _data(self, packet: Packet) -> None:
        arriving = self._arriving.get(packet.ID)
        if packet.type != Packet.PACKET_DATA or arriving is None:
            raise InvalidParameter(
                f"the client sent a packet of type {packet.type} for file {packet.ID}, not asked for"
            )
        data = packet.data
        if data:
            if arriving.got + len(data) > arriving.size:
                raise System(f"{_shown(arriving.path)} has grown while it was sent")
            written = os.pwrite(self._pool.spool, data, arriving.offset + arriving.got)
            if written != len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            arriving.hashed.update(data)
            arriving.got += len(data)
            return
        del self._arriving[packet.ID]
        node = arriving.node
        if arriving.got != arriving.size:
            raise System(f"{_shown(arriving.path)} has changed, or could not be read, while it was sent")
        node.offset, node.digest = arriving.offset, arriving.hashed.digest()
        self._now[arriving.path] = Known(node.size, node.mtime, node.offset, node.digest)

    def _check_room(self, size: int) -> None:
        room = os.fstatvfs(self._pool.spool)
        if room.f_bavail * room.f_frsize < size + _RESERVE:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def entry_of(stat: Stat) -> Entry:
    """A file as fsutil tells it. Raises InvalidParameter for a kind that is none."""
    kind = _TYPES.get(stat.mode & _TYPE_BITS)
    name = stat.path.encode()
    if kind is None:
        raise InvalidParameter(f"{_shown(name)} has a kind that cannot be in a build context (mode {stat.mode:#o})")
    mode = stat.mode & 0o777
    for bit, special in _SPECIAL.items():
        mode |= special if stat.mode & bit else 0
    link = stat.linkname.encode()
    if kind == tar.FILE and link:
        kind = tar.HARD_LINK
    entry = Entry(name, kind, stat.size if kind == tar.FILE else 0, link, mode)
    entry.mtime = stat.modTime
    entry.major, entry.minor = stat.devmajor, stat.devminor
    entry.xattrs = {key.encode(): value for key, value in stat.xattrs.items()}
    if entry.size < 0:
        raise InvalidParameter(f"{_shown(name)} has a negative size")
    return entry


def _shown(path: bytes) -> str:
    return repr(path.decode("utf-8", "replace")[:200])


async def synced(
    session: Session, name: str, pool: Pool, into: int, *, follow: Sequence[str] = (), exclude: Sequence[str] = ()
) -> Context:
    """The directory that the client calls `name`, as it is now. `follow`: only these paths, "" for all; `exclude`: ignore patterns.

    `into` is an empty directory, for what steps will want of it on the disk; the caller removes it, and closes the context.
    Only one transfer at a time may use a pool. Raises System, InvalidParameter, BadArchive, OSError.
    """
    if not session.offers(METHOD):
        raise InvalidParameter("no local sources enabled")
    wishes = {"dir-name": [name]}
    if follow:
        wishes["followpaths"] = list(follow)
    if exclude:
        wishes["exclude-patterns"] = list(exclude)
    if any("\n" in value or "\r" in value or "\0" in value for each in wishes.values() for value in each):
        raise InvalidParameter("a path with a line break in it cannot be asked for")
    method = StreamStreamMethod(session.caller, METHOD, Packet, Packet)
    try:
        async with method.open(metadata=encoded(wishes)) as stream:
            await stream.send_request()
            index = await _Sync(pool, stream).run()
    except GRPCError as error:
        raise System(f"failed to read the client's files ({name}): {error.message}") from error
    except (StreamTerminatedError, ConnectionError) as error:
        raise System(f"the client left while its files were read ({name})") from error
    os.mkdir(b"tree", 0o700, dir_fd=into)
    directory = os.open(b"tree", os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=into)
    return Context(index, os.dup(pool.spool), directory)
