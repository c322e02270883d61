"""Logs that a plugin reads again: `LogDriver.ReadLogs`, which goes before the local copy where the container's driver offers it.

Source: moby's daemon/logs.go and daemon/logger/adapter.go. Loaded where a container has such a driver.
"""

import asyncio
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Any

from sampan.daemon.container import Container
from sampan.daemon.engine import Engine
from sampan.daemon.log_shipping import READING
from sampan.daemon.times import NEVER, rfc3339
from sampan.drivers.log_entries import Entry as Told
from sampan.errors import SampanError
from sampan.logs.records import STREAMS, Entry, moment, render
from sampan.plugins.faults import PluginFailed
from sampan.plugins.log_driver import ALL, KIND, Info, Window, read_logs, reads
from sampan.plugins.log_fifo import LogFifo
from sampan.plugins.plugin import Plugin
from sampan.spec.requests import LogOptions, WaitCondition

_SILENCE_SECONDS = 10.0
"""How long a plugin may say nothing within its answer, where no run goes on that it could wait for. Docker waits without end."""
_LATEST = 253_402_300_799 * 10**9
"""The last second of the year 9999: RFC 3339 has no later one."""


async def plugin_that_reads(engine: Engine, driver: str) -> Plugin | None:
    """The plugin, where it is there and says that it reads logs."""
    try:
        plugin = await engine.plugins.get(driver, KIND, patience=0.0)
    except SampanError:
        return None
    return plugin if await reads(plugin) else None


class PluginLines:
    """One request's lines. Implements `api.backend.LogStream`; what is read is the plugin's, and so is the answer to `tail`."""

    def __init__(self, engine: Engine, container: Container, options: LogOptions, plugin: Plugin) -> None:
        self._engine = engine
        self._container = container
        self._options = options
        self._plugin = plugin
        # As in Docker: nothing is followed where nothing runs.
        self._running = container.state.alive
        self._follow = options.follow and self._running

    @property
    def tty(self) -> bool:
        """Whether lines are sent without frames."""
        return self._container.definition.config.tty

    @property
    def outlives(self) -> bool:
        """It goes through the daemon, and ends with it."""
        return False

    async def carry(self, sock: socket.socket, chunked: bool) -> bool:  # noqa: ARG002 - the Protocol's
        """Nobody else can."""
        return False

    async def records(self) -> AsyncIterator[Sequence[tuple[int, bytes]]]:
        """Batches of (stream, line). Raises PluginFailed."""
        options = self._options
        await self._engine.shipping.catch_up(self._container.id)
        async with (
            self._known() as info,
            aclosing(read_logs(self._plugin, info, self._window())) as told,
            aclosing(self._heard(told)) as batches,
        ):
            async for batch in batches:
                entries = [found for one in batch if (found := self._chosen(one)) is not None]
                if entries:
                    yield render(entries, timestamps=options.timestamps, details=options.details)
                if options.until is not None and any(one.time_ns > options.until for one in batch):
                    return

    def _window(self) -> Window:
        options = self._options
        tail = ALL if options.tail is None else options.tail
        return Window(_time(options.since), _time(options.until), tail, self._follow)

    def _chosen(self, told: Told) -> Entry | None:
        """The entry where it is asked for: a plugin may not have looked at the times."""
        options, stream = self._options, STREAMS.get(told.source, 0)
        if not (options.stdout if stream == STREAMS["stdout"] else options.stderr and stream == STREAMS["stderr"]):
            return None
        if options.since is not None and told.time_ns < options.since:
            return None
        if options.until is not None and told.time_ns > options.until:
            return None
        return Entry(stream, told.line, moment(told.time_ns))

    @asynccontextmanager
    async def _known(self) -> AsyncIterator[Info]:
        """As in Docker the plugin is told of a container that does not run as if a run began: some read no other's log."""
        target = self._engine.shipping.target(self._container.definition)
        if target is None:
            raise PluginFailed(f'plugin "{self._plugin.name}" is gone')
        if self._running:
            yield target.info
            return
        fifo = LogFifo(self._plugin.name, target, READING)
        try:
            await fifo.begin()
            yield target.info
        finally:
            await fifo.end(drain=False)

    async def _heard(self, told: AsyncIterator[list[Told]]) -> AsyncGenerator[list[Told], None]:
        over = self._container.wait(WaitCondition.NOT_RUNNING)
        if not self._follow:
            over.cancel()
        try:
            async with aclosing(while_told(told, over, _SILENCE_SECONDS)) as batches:
                async for batch in batches:
                    yield batch
        except TimeoutError:
            if not self._follow:
                raise PluginFailed(
                    f"error getting log reader: nothing came for {_SILENCE_SECONDS:.0f} seconds"
                ) from None
        finally:
            over.cancel()


async def while_told(
    told: AsyncIterator[list[Told]], over: "asyncio.Future[Any]", seconds: float
) -> AsyncGenerator[list[Told], None]:
    """The batches. Raises TimeoutError where none comes for `seconds`, though `over` says that there is nothing to wait for."""
    coming: asyncio.Task[list[Told]] | None = None
    try:
        while True:
            coming = asyncio.create_task(_next(told))
            either: set[asyncio.Future[Any]] = {coming, over}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if not coming.done() and not (await asyncio.wait({coming}, timeout=seconds))[0]:
                raise TimeoutError
            if not (batch := await coming):
                return
            yield batch
    finally:
        if coming is not None:
            coming.cancel()
            await asyncio.gather(coming, return_exceptions=True)


async def _next(told: AsyncIterator[list[Told]]) -> list[Told]:
    return await anext(told, [])


def _time(nanoseconds: int | None) -> str:
    return NEVER if nanoseconds is None else rfc3339(min(max(nanoseconds, 0), _LATEST))
