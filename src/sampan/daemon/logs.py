"""Logs: a container's lines, from the past and as they come, until it ends."""

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence

from sampan.daemon import log_settings
from sampan.daemon.container import Container
from sampan.daemon.engine import Engine
from sampan.errors import Conflict, InvalidParameter, NotImplementedHere
from sampan.logs.files import close_all
from sampan.logs.reader import follow, open_at
from sampan.logs.reading import Query
from sampan.logs.records import frames, render
from sampan.runtime.request import FollowRequest
from sampan.spec.requests import AttachOptions, Hijacked, LogOptions, WaitCondition

Record = tuple[int, bytes]


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


async def open_log(engine: Engine, reference: str, options: LogOptions) -> LogLines:
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
    if not log_settings.settings(container.definition).readable:
        raise NotImplementedHere("configured logging driver does not support reading")
    return LogLines(engine, container, options)


async def replay(
    engine: Engine, container: Container, connection: Hijacked, options: AttachOptions, *, raw: bool
) -> None:
    """Write what the container said before to a client that attaches. Raises OSError where the client has gone."""
    wanted = LogOptions(stdout=options.stdout, stderr=options.stderr)
    loop = asyncio.get_running_loop()
    async for batch in LogLines(engine, container, wanted).records():
        await loop.sock_sendall(connection.sock, frames(batch, raw))
