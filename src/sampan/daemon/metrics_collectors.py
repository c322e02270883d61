"""Plugins that collect metrics: the socket on which the daemon's are to be had, and who is told of it.

    the first such plugin ──▶ metrics.sock listens ──▶ MetricsCollector.StartMetrics, once the page is served
    it is disabled, or the daemon ends ──▶ MetricsCollector.StopMetrics

Source: Docker's "Docker metrics collector plugins". One that is managed sees the socket as /run/docker/metrics.sock. What it has
mounted is this very socket: the launcher keeps it across a death of the daemon, as long as containers keep the launcher.
"""

import asyncio
import logging
import os
import socket
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from pathlib import Path

from sampan.daemon.config import DaemonConfig
from sampan.daemon.listeners import open_unix
from sampan.plugins.faults import PluginFailed
from sampan.plugins.places import Address
from sampan.plugins.plugin import Nothing, Plugin
from sampan.plugins.plugins import Plugins

KIND = "MetricsCollector"
_log = logging.getLogger("sampan.plugins")
_START_SECONDS, _STOP_SECONDS = 10.0, 2.0
Serve = Callable[[socket.socket], Awaitable[None]]
Keep = Callable[[socket.socket], None]


class MetricsCollectors:
    """All of one daemon. On its event loop."""

    def __init__(self, config: DaemonConfig, plugins: Plugins) -> None:
        self._config = config
        self._plugins = plugins
        self._path = config.exec_root / "metrics.sock"
        self._sock: socket.socket | None = None
        self._serve: Serve | None = None
        self._keep: Keep | None = None
        self.outlived = False
        """see `managed.supervisor.Metrics`"""
        self._told: dict[str, Plugin] = {}
        self._mounted: set[str] = set()
        """of these, those that have the socket mounted"""
        self._tasks: set[asyncio.Task[None]] = set()
        plugins.activated = self._activated

    def take(self, kept: Iterable[socket.socket]) -> list[socket.socket]:
        """Go on with the socket of an earlier daemon, where it is among these and stands at its path; the others."""
        others = []
        for sock in kept:
            if self._sock is None and sock.getsockname() == str(self._path) and self._path.is_socket():
                self._sock, self.outlived = sock, True
                sock.setblocking(False)
            else:
                others.append(sock)
        return others

    async def serve(self, serve: Serve, keep: Keep) -> None:
        """From now on there is somebody to serve the page, and to keep the socket beyond this process."""
        self._serve, self._keep = serve, keep
        if self._sock is not None:
            await self._begin(self._sock)
        for plugin in self._told.values():
            self._spawn(self._tell(plugin, "StartMetrics", _START_SECONDS))

    def place(self) -> Path:
        """The socket, which listens from now on. Raises System."""
        if self._sock is None:
            self._sock = open_unix(self._path, self._config)
            self._sock.setblocking(False)
            if self._serve is not None:
                self._spawn(self._begin(self._sock))
        return self._path

    async def started(self, name: str, address: Address) -> None:
        """A plugin that collects metrics runs. What it says against it is told in the log, as in Docker."""
        plugin = self._told[name] = Plugin(name, lambda: address, (KIND,))
        if address.guarded:
            self._mounted.add(name)
        if self._serve is not None:
            await self._tell(plugin, "StartMetrics", _START_SECONDS)

    async def stopping(self, name: str) -> None:
        """It is about to end."""
        plugin = self._told.pop(name, None)
        self._mounted.discard(name)
        if plugin is not None and self._serve is not None:
            await self._tell(plugin, "StopMetrics", _STOP_SECONDS)

    async def end(self, *, stop: bool) -> None:
        """The daemon ends; with `stop` its plugins do, too. The socket goes where none goes on that has it mounted."""
        remove = stop or not self._mounted
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(self.stopping(name) for name in list(self._told)))
        if self._sock is not None:
            self._sock.close()
            if remove:
                self._path.unlink(missing_ok=True)

    def _activated(self, plugin: Plugin) -> None:
        """One that somebody else runs is told when it is first asked for anything; the engine's own are told as they start."""
        if KIND in plugin.implements and not self._plugins.where(plugin.name).guarded:
            self.place()
            self._spawn(self.started(plugin.name, self._plugins.where(plugin.name)))

    async def _begin(self, sock: socket.socket) -> None:
        assert self._serve is not None
        assert self._keep is not None
        self._keep(sock)
        await self._serve(sock)
        _log.info("metrics listen on unix://%s", os.fspath(self._path))

    async def _tell(self, plugin: Plugin, what: str, seconds: float) -> None:
        try:
            await plugin.call(f"{KIND}.{what}", None, Nothing, seconds=seconds, patience=0.0)
        except PluginFailed as error:
            _log.error("plugin %s: %s", plugin.name, str(error).removeprefix(f"plugin {plugin.name}: "))

    def _spawn(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
