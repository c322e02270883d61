"""Contexts by fsutil's protocol: what is new is asked for, what is unchanged is not, and what is wrong is refused."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from grpclib.server import Stream

from sampan.build.tree.context import Context
from sampan.buildkit.pools import Pools
from sampan.buildkit.protocol.files_pb2 import Packet, Stat
from sampan.buildkit.synced import synced
from sampan.errors import InvalidParameter, SampanError, System
from sampan.files.paths import BadPath
from sampan.files.tar_reader import BadArchive
from tests.unit.buildkit.clients import DIRECTORY, LINK, Files, session

FILE = 0o644


def tree() -> Files:
    return Files(
        [
            Stat(path="a.txt", mode=FILE, size=25, modTime=10**18),
            Stat(path="dir", mode=DIRECTORY, modTime=10**18),
            Stat(path="dir/b", mode=0o755, size=3, modTime=10**18),
            Stat(path="dir/link", mode=LINK, linkname="../a.txt"),
        ],
        {"a.txt": b"y" * 25, "dir/b": b"abc"},
    )


class Desk:
    """Syncs again and again, as builds do."""

    def __init__(self, place: Path) -> None:
        self.pools = Pools(place / "contexts")
        self._place = place
        self._count = 0

    async def sync(self, files: Files, check: Callable[[Context], Awaitable[None]] | None = None) -> str:
        """The digest of all of it."""
        self._count += 1
        into = self._place / f"into{self._count}"
        into.mkdir()
        descriptor = os.open(into, os.O_RDONLY | os.O_DIRECTORY)
        try:
            async with session(files.diff_copy) as client, self.pools.taken("key") as pool:
                context = await synced(client, "context", pool, descriptor, exclude=["*.log", "ä"])
            with context:
                if check is not None:
                    await check(context)
                return context.digest(["."])
        finally:
            os.close(descriptor)


def test_files_arrive_and_only_changes_are_sent_again(tmp_path: Path) -> None:
    async def play() -> None:
        desk, files = Desk(tmp_path), tree()

        async def check(context: Context) -> None:
            assert context.read("dir/link") == b"y" * 25
            tree_root = context.tree()
            copied = os.open("dir/b", os.O_RDONLY, dir_fd=tree_root.directory())
            assert (os.read(copied, 9), os.fstat(copied).st_mode & 0o777) == (b"abc", 0o755)
            os.close(copied)

        first = await desk.sync(files, check)
        assert files.asked == ["a.txt", "dir/b"]
        assert files.metadata["exclude-patterns"] == ["%2A.log", "%C3%A4"]
        assert files.metadata["dir-name"] == ["context"]
        files.asked.clear()
        assert await desk.sync(files, check) == first
        assert files.asked == []
        files.stats[2].modTime += 1
        files.contents["dir/b"] = b"xyz"
        assert await desk.sync(files) != first
        assert files.asked == ["dir/b"]
        desk.pools.close()

    asyncio.run(play())


def test_what_is_gone_is_gone(tmp_path: Path) -> None:
    async def play() -> None:
        desk, files = Desk(tmp_path), tree()
        await desk.sync(files)
        files.stats = files.stats[1:]

        async def check(context: Context) -> None:
            with pytest.raises(FileNotFoundError):
                context.read("a.txt")

        await desk.sync(files, check)
        desk.pools.close()

    asyncio.run(play())


@pytest.mark.parametrize(
    ("stat", "error"),
    [
        (Stat(path="../out", mode=FILE), BadPath),
        (Stat(path="a/../../out", mode=FILE), BadPath),
        (Stat(path="socket", mode=1 << 24), InvalidParameter),
        (Stat(path="odd", mode=1 << 31 | 1 << 27), InvalidParameter),
        (Stat(path="less", mode=FILE, size=-1), InvalidParameter),
        (Stat(path="huge", mode=FILE, size=1 << 60), BadArchive),
        (Stat(path="hard", mode=FILE, linkname="nowhere"), BadArchive),
    ],
)
def test_hostile_names_and_kinds(tmp_path: Path, stat: Stat, error: type[SampanError]) -> None:
    async def play() -> None:
        desk = Desk(tmp_path)
        with pytest.raises(error):
            await desk.sync(Files([stat], {}))
        desk.pools.close()

    asyncio.run(play())


async def _more_than_told(stream: "Stream[Packet, Packet]") -> None:
    await stream.send_message(Packet(type=Packet.PACKET_STAT, stat=Stat(path="a", mode=FILE, size=1)))
    await stream.send_message(Packet(type=Packet.PACKET_STAT))
    await stream.recv_message()
    await stream.send_message(Packet(type=Packet.PACKET_DATA, ID=0, data=b"two"))


async def _less_than_told(stream: "Stream[Packet, Packet]") -> None:
    await stream.send_message(Packet(type=Packet.PACKET_STAT, stat=Stat(path="a", mode=FILE, size=9)))
    await stream.send_message(Packet(type=Packet.PACKET_STAT))
    await stream.recv_message()
    await stream.send_message(Packet(type=Packet.PACKET_DATA, ID=0))


async def _never_asked_for(stream: "Stream[Packet, Packet]") -> None:
    await stream.send_message(Packet(type=Packet.PACKET_STAT, stat=Stat(path="a", mode=FILE, size=9)))
    await stream.send_message(Packet(type=Packet.PACKET_STAT))
    await stream.recv_message()
    await stream.send_message(Packet(type=Packet.PACKET_DATA, ID=7, data=b"x"))


async def _says_why(stream: "Stream[Packet, Packet]") -> None:
    await stream.send_message(Packet(type=Packet.PACKET_ERR, data=b"permission denied"))


async def _leaves(stream: "Stream[Packet, Packet]") -> None:
    await stream.send_message(Packet(type=Packet.PACKET_STAT))


@pytest.mark.parametrize(
    ("serving", "words"),
    [
        (_more_than_told, "has grown"),
        (_less_than_told, "has changed"),
        (_never_asked_for, "not asked for"),
        (_says_why, "permission denied"),
        (_leaves, "ended the transfer|left while"),
    ],
)
def test_hostile_transfers(
    tmp_path: Path, serving: Callable[["Stream[Packet, Packet]"], Awaitable[None]], words: str
) -> None:
    async def play() -> None:
        pools = Pools(tmp_path)
        descriptor = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            async with session(serving) as client:
                with pytest.raises((System, InvalidParameter), match=words):
                    async with pools.taken("key") as pool:
                        await synced(client, "context", pool, descriptor)
            assert not pools._idle
        finally:
            os.close(descriptor)
            pools.close()

    asyncio.run(play())


def test_a_message_without_bound_is_refused(tmp_path: Path) -> None:
    async def play() -> None:
        pools = Pools(tmp_path)
        descriptor = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)

        async def flood(stream: "Stream[Packet, Packet]") -> None:
            await stream.send_message(Packet(type=Packet.PACKET_ERR, data=b"x" * (17 << 20)))

        try:
            async with session(flood) as client:
                with pytest.raises(System, match="16777216 are allowed"):
                    async with pools.taken("key") as pool:
                        await asyncio.wait_for(synced(client, "context", pool, descriptor), 20)
        finally:
            os.close(descriptor)
            pools.close()

    asyncio.run(play())
