import asyncio
import os
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from sampan.build.needs import Socket
from sampan.daemon import agent_relay
from sampan.daemon.agent_relay import relayed
from sampan.errors import InvalidParameter


@asynccontextmanager
async def agent(path: Path) -> AsyncIterator[None]:
    """Answers every line with itself, backwards."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            writer.write(line.strip()[::-1] + b"\n")
            await writer.drain()
        writer.close()

    server = await asyncio.start_unix_server(serve, path)
    try:
        yield
    finally:
        server.close()


async def ask(path: Path, *lines: bytes) -> list[bytes]:
    reader, writer = await asyncio.open_unix_connection(path)
    answers = []
    for line in lines:
        writer.write(line + b"\n")
        answers.append(await reader.readline())
    writer.close()
    return answers


def wanted(source: Path, mode: int = 0o600) -> Socket:
    return Socket(target="/agent", source=str(source), mode=mode, uid=os.geteuid(), gid=os.getegid())


def test_what_is_said_is_passed_on(tmp_path: Path) -> None:
    async def main() -> None:
        async with agent(tmp_path / "real"), relayed(wanted(tmp_path / "real", 0o620), str(tmp_path / "own")):
            status = (tmp_path / "own").stat()
            assert (stat.S_ISSOCK(status.st_mode), stat.S_IMODE(status.st_mode)) == (True, 0o620)
            told = await asyncio.gather(*(ask(tmp_path / "own", b"abc", b"%d5" % number) for number in range(3)))
            assert told == [[b"cba\n", b"5%d\n" % number] for number in range(3)]
        with pytest.raises(ConnectionRefusedError):
            await ask(tmp_path / "own", b"late")

    asyncio.run(main())


def test_an_open_connection_ends_with_the_program(tmp_path: Path) -> None:
    async def main() -> None:
        async with agent(tmp_path / "real"):
            async with relayed(wanted(tmp_path / "real"), str(tmp_path / "own")):
                reader, writer = await asyncio.open_unix_connection(tmp_path / "own")
                writer.write(b"x\n")
                assert await reader.readline() == b"x\n"
            assert await reader.read() == b""
            writer.close()

    asyncio.run(main())


def test_more_connections_than_there_is_room_for_are_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent_relay, "_MOST", 1)

    async def main() -> None:
        async with agent(tmp_path / "real"), relayed(wanted(tmp_path / "real"), str(tmp_path / "own")):
            reader, writer = await asyncio.open_unix_connection(tmp_path / "own")
            writer.write(b"first\n")
            assert await reader.readline() == b"tsrif\n"
            second, other = await asyncio.open_unix_connection(tmp_path / "own")
            assert await second.read() == b""
            other.close()
            writer.close()

    asyncio.run(main())


def test_no_agent(tmp_path: Path) -> None:
    async def main() -> None:
        with pytest.raises(InvalidParameter, match=r"ssh agent .*nobody: no such file or directory"):
            async with relayed(wanted(tmp_path / "nobody"), str(tmp_path / "own")):
                pass

    asyncio.run(main())
