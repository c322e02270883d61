"""Logs: a container's lines, from the past and as they come, until it ends."""

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING

from sampan.daemon import log_settings
from sampan.daemon.container import Container
from sampan.daemon.engine import Engine
from sampan.errors import Conflict, InvalidParameter, NotImplementedHere
from sampan.logs.files import close_all
from sampan.logs.options import DRIVERS
from sampan.logs.reader import follow, open_at
from sampan.logs.reading import Query, Reading
from sampan.logs.records import Entry, frames, render
from sampan.runtime.request import FollowRequest
from sampan.spec.requests import AttachOptions, LogOptions, WaitCondition

if TYPE_CHECKING:
    from sampan.daemon.plugin_logs import PluginLines

Record = tuple[int, bytes]
_NOWHERE = (0, 0, 0)


class LogLines:
    """One request's lines. Implements `api.backend.LogStream`.

    From its making on the log stays readable: docker-py reads what it asked for after it has removed the container.
    """

    def __init__(self, engine: Engine, container: Container, options: LogOptions) -> None:
        self._engine = engine
        self._container = container
        self._options = options
        self._query = Query(options.stdout, options.stderr, options.since, options.until, options.tail)
        self._counted = True
        container.log_readers += 1
        self._path = log_settings.path(engine.directory(container.id), container.definition)
        # As in Docker: nothing is followed where nothing runs, not even between two runs of a restart policy.
        self._follow = options.follow and container.state.alive

    @property
    def tty(self) -> bool:
        """Whether lines are sent without frames."""
        return self._container.definition.config.tty

    @property
    def outlives(self) -> bool:
        """Whether `carry` can be asked."""
        return self._follow

    async def carry(self, sock: socket.socket, chunked: bool) -> bool:
        """Have a follower serve the client, so that the stream outlives this daemon. False where `records` has to."""
        files = await asyncio.to_thread(open_at, self._path, self._query)
        try:
            request = FollowRequest(
                sock=sock,
                path=self._path,
                files=tuple(file.fileno() for file in files),
                query=self._query,
                tty=self.tty,
                chunked=chunked,
                timestamps=self._options.timestamps,
                details=self._options.details,
            )
            return await self._engine.runtime.follow(self._container.id, request, self._uncount)
        finally:
            close_all(files)

    async def records(self) -> AsyncIterator[Sequence[Record]]:
        """Batches of (stream, line); with `follow` until the container has ended and everything is sent."""
        options = self._options
        over = asyncio.Event()
        waiting = self._container.wait(WaitCondition.NOT_RUNNING)
        if self._follow:
            waiting.add_done_callback(lambda _: over.set())
        else:
            over.set()
        try:
            async for entries in follow(self._path, self._query, over):
                yield render(entries, timestamps=options.timestamps, details=options.details)
        finally:
            waiting.cancel()
            self._uncount()

    def _uncount(self) -> None:
        if self._counted:
            self._counted = False
            self._container.log_readers -= 1

    def __del__(self) -> None:
        self._uncount()


async def open_log(engine: Engine, reference: str, options: LogOptions) -> "LogLines | PluginLines":
    """The lines of a container's log. Raises NotFound, InvalidParameter, Conflict, NotImplementedHere in Docker's wording."""
    container = engine.find(reference)
    if not (options.stdout or options.stderr):
        raise InvalidParameter("You must choose at least one stream")
    if options.follow and container.starting:
        # Whether there is anything to follow is known in a moment.
        async with container.lock:
            pass
    if container.removing:
        raise Conflict("can not get logs from container which is dead or marked for removal")
    log = log_settings.settings(container.definition)
    if log.driver not in DRIVERS:
        from sampan.daemon.plugin_logs import PluginLines, plugin_that_reads

        if (plugin := await plugin_that_reads(engine, log.driver)) is not None:
            return PluginLines(engine, container, options, plugin)
    if not log.readable:
        raise NotImplementedHere("configured logging driver does not support reading")
    return LogLines(engine, container, options)


class Replay:
    """What a container said before, for a client that attaches, up to a place from which its monitor can go on."""

    def __init__(self, engine: Engine, container: Container, options: AttachOptions, *, raw: bool) -> None:
        path = log_settings.path(engine.directory(container.id), container.definition)
        self._reading = Reading(path, Query(options.stdout, options.stderr))
        self._raw = raw
        self._begun = False

    @property
    def position(self) -> tuple[int, int, int]:
        """See `AttachSpec.after`. A place in no file where there is none yet: the monitor is about to make it."""
        return self._reading.position or _NOWHERE

    async def send(self, sock: socket.socket) -> None:
        """Send what there is now and was not sent yet. Raises OSError where the client has gone."""
        reading = self._reading
        if not self._begun:
            self._begun = True
            await asyncio.to_thread(reading.open)
        batches = reading.past()
        while (batch := await asyncio.to_thread(next, batches, None)) is not None:
            await self._put(sock, batch)
        if reading.grown():
            # Over to the next file, where this one was rotated meanwhile.
            await self._put(sock, await asyncio.to_thread(reading.more))

    async def send_rest(self, sock: socket.socket) -> None:
        """Send what was not sent yet of a run that has ended. Raises OSError where the client has gone."""
        while self._reading.grown():
            await self._put(sock, await asyncio.to_thread(self._reading.more))

    async def _put(self, sock: socket.socket, entries: list[Entry]) -> None:
        await asyncio.get_running_loop().sock_sendall(sock, frames(render(entries), self._raw))

    def close(self) -> None:
        """Let go of the log's files."""
        self._reading.close()
