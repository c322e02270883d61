"""A way from a build's program to an ssh agent: a socket of the mode and owner that the mount asks for, passed on by the daemon.

The agent's own socket is not bound: it belongs to whoever runs the agent, and answers only its own user.
"""

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sampan.build.needs import Socket
from sampan.errors import InvalidParameter

_log = logging.getLogger("sampan.daemon")
_CHUNK = 1 << 14
_MOST = 64
"""Connections of one program at once."""


@asynccontextmanager
async def relayed(wanted: Socket, path: str) -> AsyncIterator[None]:
    """The socket at `path`, while the block runs. Raises InvalidParameter where nobody answers at the agent's."""
    try:
        _, writer = await asyncio.open_unix_connection(wanted.source)
    except OSError as error:
        raise InvalidParameter(f"ssh agent {wanted.source}: {(error.strerror or str(error)).lower()}") from error
    writer.close()
    serving: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        serving.add(task)
        try:
            if len(serving) <= _MOST:
                await _pass_on(wanted.source, reader, writer)
        except OSError as error:
            _log.info("a build's way to the agent %s: %s", wanted.source, error)
        finally:
            serving.discard(task)
            writer.close()

    server = await asyncio.start_unix_server(serve, path, limit=_CHUNK)
    try:
        os.chown(path, wanted.uid, wanted.gid)
        os.chmod(path, wanted.mode)
        yield
    finally:
        server.close()
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)


async def _pass_on(source: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    agent_reader, agent_writer = await asyncio.open_unix_connection(source, limit=_CHUNK)
    ways = [
        asyncio.get_running_loop().create_task(_copy(reader, agent_writer)),
        asyncio.get_running_loop().create_task(_copy(agent_reader, writer)),
    ]
    try:
        # An agent says nothing unasked: the end of either side is the end.
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
        agent_writer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(_CHUNK):
        writer.write(data)
        await writer.drain()
