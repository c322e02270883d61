"""Logs: a container's lines, from the past and as they come, until it ends."""

import asyncio
from collections.abc import AsyncIterator, Sequence

from sampan.daemon.container import Container
from sampan.daemon.engine import Engine
from sampan.errors import InvalidParameter, NotImplementedHere
from sampan.logs.reader import Query, follow
from sampan.logs.records import frames, render
from sampan.spec.requests import AttachOptions, Hijacked, LogOptions, WaitCondition

Record = tuple[int, bytes]


class LogLines:
    """One request's lines. Implements `api.backend.LogStream`.

    From its making on the log stays readable: docker-py reads what it asked for after it has removed the container.
    """

    def __init__(self, engine: Engine, container: Container, options: LogOptions) -> None:
        self._container = container
        self._options = options
        self._counted = True
        container.log_readers += 1
        self._path = f"{engine.directory(container.id)}/{container.id}-json.log"

    @property
    def tty(self) -> bool:
        """Whether lines are sent without frames."""
        return self._container.definition.config.tty

    async def records(self) -> AsyncIterator[Sequence[Record]]:
        """Batches of (stream, line); with `follow` until the container has ended and everything is sent."""
        options = self._options
        query = Query(
            stdout=options.stdout,
            stderr=options.stderr,
            since=options.since,
            until=options.until,
            tail=options.tail,
        )
        over = asyncio.Event()
        waiting = self._container.wait(WaitCondition.NOT_RUNNING)
        if options.follow:
            waiting.add_done_callback(lambda _: over.set())
        else:
            over.set()
        try:
            async for entries in follow(self._path, query, over):
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


def open_log(engine: Engine, reference: str, options: LogOptions) -> LogLines:
    """The lines of a container's log. Raises NotFound, InvalidParameter, NotImplementedHere in Docker's wording."""
    container = engine.find(reference)
    if not (options.stdout or options.stderr):
        raise InvalidParameter("You must choose at least one stream")
    if container.definition.host.log_config.type == "none":
        raise NotImplementedHere("configured logging driver does not support reading")
    return LogLines(engine, container, options)


async def replay(
    engine: Engine, container: Container, connection: Hijacked, options: AttachOptions, *, tty: bool
) -> None:
    """Write what the container said before to a client that attaches. Raises OSError where the client has gone."""
    wanted = LogOptions(stdout=options.stdout, stderr=options.stderr)
    loop = asyncio.get_running_loop()
    async for batch in LogLines(engine, container, wanted).records():
        await loop.sock_sendall(connection.sock, frames(batch, tty))
