"""All plugins of a daemon: found and activated when they are first asked for."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from functools import partial

from sampan.plugins.faults import PluginFailed, PluginNotFound, WrongKind
from sampan.plugins.places import Address, Source
from sampan.plugins.plugin import RETRY_SECONDS, Manifest, Plugin

_log = logging.getLogger("sampan.plugins")
_ACTIVATION_SECONDS = 10.0
_LOOK_SECONDS = 5.0
"""What one of many plugins may take that nobody has asked for by name."""
_MOST = 256
"""Plugins that a listing asks."""


class Plugins:
    """The plugins that the sources know, the earlier source first. On the event loop; made without one running."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self.sources = list(sources)
        self._active: dict[str, Plugin] = {}
        self._activating: dict[tuple[str, bool], asyncio.Task[Plugin]] = {}
        self.activated: Callable[[Plugin], None] = _nothing
        """called with each that answers for the first time"""

    async def get(self, name: str, kind: str, *, patience: float = RETRY_SECONDS) -> Plugin:
        """The plugin of that name, which implements `kind`: VolumeDriver, NetworkDriver, IpamDriver, LogDriver, authz, …

        One that is found and does not listen yet is waited for, `patience` seconds at most. Raises PluginNotFound at once
        where there is none (Docker waits 15 seconds), WrongKind, and what `Plugin.call` raises.
        """
        plugin = self._active.get(name)
        if plugin is None:
            plugin = await self._activated(name, patience)
        if kind not in plugin.implements:
            raise WrongKind(name, kind)
        return plugin

    async def all(self, kind: str) -> list[Plugin]:
        """Every plugin that is there, answers soon, and implements `kind`; by name."""
        names = sorted({name for source in self.sources for name in source.names(kind)})[:_MOST]
        found = await asyncio.gather(*(self._looked_at(name) for name in names))
        return [plugin for plugin in found if plugin is not None and kind in plugin.implements]

    def active(self, kind: str) -> list[str]:
        """Names of the plugins of that kind that have been used since the daemon began."""
        return sorted(name for name, plugin in self._active.items() if kind in plugin.implements)

    def forget(self, name: str) -> None:
        """Activate it anew when it is next asked for: it was disabled, removed or replaced."""
        self._active.pop(name, None)

    def find(self, name: str) -> Address | None:
        """Where the plugin listens now. Raises PluginFailed where its file is broken."""
        for source in self.sources:
            if (address := source.find(name)) is not None:
                return address
        return None

    def where(self, name: str) -> Address:
        """`find`, for what it tells of paths that the plugin says: nothing where there is none. Raises PluginFailed."""
        return self.find(name) or Address()

    async def _looked_at(self, name: str) -> Plugin | None:
        try:
            async with asyncio.timeout(_LOOK_SECONDS):
                return self._active.get(name) or await self._activated(name, 0.0)
        except (PluginFailed, PluginNotFound, TimeoutError) as error:
            _log.warning("plugin %s is left out: %s", name, str(error) or "no answer in time")
            return None

    async def _activated(self, name: str, patience: float) -> Plugin:
        """One activation at a time for each name, shared by all who ask meanwhile; who stops waiting does not stop it."""
        key = (name, patience > 0)
        task = self._activating.get(key)
        if task is None:
            task = asyncio.get_running_loop().create_task(self._activate(name, patience))
            self._activating[key] = task
            task.add_done_callback(partial(self._settled, key))
        return await asyncio.shield(task)

    def _settled(self, key: tuple[str, bool], task: asyncio.Task[Plugin]) -> None:
        del self._activating[key]
        if not task.cancelled() and task.exception() is None and key[0] not in self._active:
            self._active[key[0]] = task.result()
            self.activated(task.result())

    async def _activate(self, name: str, patience: float) -> Plugin:
        address = self.find(name)
        if address is None:
            raise PluginNotFound(name)
        plugin = Plugin(name, partial(self.find, name), address.implements or ())
        if address.implements is not None:
            return plugin
        manifest = await plugin.call("Plugin.Activate", None, Manifest, seconds=_ACTIVATION_SECONDS, patience=patience)
        plugin.implements = manifest.implements
        return plugin

    def close(self) -> None:
        """Give up activations that are under way, and end what the sources have started."""
        for task in list(self._activating.values()):
            task.cancel()
        for source in self.sources:
            source.close()


def _nothing(_: Plugin) -> None:
    """Nobody wants to know."""
