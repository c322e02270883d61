"""Volumes of plugins: which volume is whose, and which uses a plugin has been told of and not yet told the end of.

    plugin_volumes  name → _Record             what was asked for with it; the volume itself is the plugin's
    plugin_mounts   "USER\\0NAME" → driver       written before a Mount is asked for, gone when its Unmount was answered

So a daemon that dies between the two leaves a note: the next one goes on with those whose container runs, and ends the others.
A plugin that is away when a use ends is asked again, less and less often, until it is there.
"""

import asyncio
import hashlib
import logging
import os
import re
import threading
import time
from collections.abc import Callable, Collection, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import msgspec

from sampan.errors import Conflict, InvalidParameter, NotFound, System
from sampan.files.root import SafeRoot
from sampan.kernel.mount import OpenTree, open_tree
from sampan.plugins.faults import PluginFailed, PluginNotFound, PluginRefused, WrongKind
from sampan.plugins.places import Address
from sampan.plugins.plugin import RETRY_SECONDS
from sampan.plugins.plugins import Plugins
from sampan.plugins.volume_driver import KIND, PluginVolume, VolumeDriver, open_mountpoint
from sampan.state.records import decoded
from sampan.state.store import Delete, Put, Store

_log = logging.getLogger("sampan.plugins")
TABLE = "plugin_volumes"
MOUNTS = "plugin_mounts"
_AGAIN, _SELDOM = 5.0, 60.0
"""Seconds until a plugin that was away is told again of the end of a use: at first, and at last."""
_NAME = re.compile(r"[^/\0\s][^/\0]{0,254}")


class Record(msgspec.Struct, frozen=True):
    """What is kept of a plugin's volume. `created` in nanoseconds since the epoch."""

    driver: str
    created: int
    labels: dict[str, str] = {}
    options: dict[str, str] = {}


_decoder = msgspec.json.Decoder(Record)


@dataclass(frozen=True, slots=True)
class Listed:
    """A plugin's volume as lists and inspect show it."""

    name: str
    record: Record
    told: PluginVolume
    scope: str = "local"


class PluginVolumes:
    """The plugins' volumes of one daemon. On its event loop, but for `tree` and `directory`. `secret`: the engine's directories."""

    def __init__(self, store: Store, plugins: Plugins, secret: tuple[str, ...]) -> None:
        self._store = store
        self._plugins = plugins
        self._secret = secret
        self._records = store.table(TABLE)
        self._mounts = store.table(MOUNTS)
        self._lock = threading.Lock()
        self._places: dict[str, tuple[str, Address]] = {}
        self._scopes: dict[str, str] = {}
        self._ending: dict[str, asyncio.Task[None]] = {}
        self._again: dict[str, asyncio.TimerHandle] = {}
        """uses whose end the plugin missed, by key"""

    # which volume is whose

    def record(self, name: str) -> Record | None:
        """What is known of a plugin's volume of that name."""
        data = self._records.get(name)
        return None if data is None else decoded(TABLE, name, data, _decoder.decode)

    def of(self, drivers: Collection[str]) -> list[str]:
        """The volumes that are known of these drivers."""
        return [name for name in self._records if (found := self.record(name)) is not None and found.driver in drivers]

    async def found(self, name: str) -> Record | None:
        """`record`, where need be by asking every plugin that is there for a volume of that name, and then recorded."""
        if (known := self.record(name)) is not None or not name:
            return known
        if not any(source.names(KIND) for source in self._plugins.sources):
            return None
        for plugin in await self._plugins.all(KIND):
            try:
                told = await VolumeDriver(plugin).get(name)
            except PluginFailed:
                continue
            if told.name == name:
                return await self._keep(name, Record(plugin.name, time.time_ns()))
        return None

    async def create(
        self, name: str, driver: str, options: Mapping[str, str], labels: Mapping[str, str]
    ) -> tuple[str, bool]:
        """The volume of that name, and whether it was made: not where the plugin has it. "" makes one with a name of its own.

        Raises NotFound for a driver that nobody has, Conflict where another has the volume, System for what the plugin says.
        """
        name = name or os.urandom(32).hex()
        if not _NAME.fullmatch(name):
            raise InvalidParameter(f'create {name[:256]}: "{name[:256]}" includes invalid characters for a volume name')
        known = self.record(name)
        if known is not None and known.driver != driver:
            raise Conflict(
                f"create {name}: driver '{known.driver}' already has volume '{name}': volume name must be unique"
            )
        with _said(f"create {name}: ", looked_up=driver):
            plugin = await self._driver(driver)
            if await _has(plugin, name):
                if known is None:
                    await self._keep(name, Record(driver, time.time_ns(), dict(labels), dict(options)))
                return name, False
            await plugin.create(name, dict(options))
        await self._keep(name, Record(driver, time.time_ns(), dict(labels), dict(options)))
        return name, True

    async def get(self, name: str) -> Listed:
        """The volume as its plugin tells it now. Raises NotFound, System."""
        record = await self.found(name)
        if record is None:
            raise NotFound(f"get {name}: no such volume")
        with _said(f"get {name}: ", looked_up=record.driver):
            plugin = await self._driver(record.driver, patience=0.0)
            told = await plugin.get(name)
            if not told.mountpoint:
                told = msgspec.structs.replace(told, mountpoint=await plugin.path(name))
            return Listed(name, record, told, await self._scope(plugin))

    async def made(self, name: str) -> Listed | None:
        """A volume as Docker tells it when it was made a moment ago: the plugin is not asked for more. None: nobody's."""
        record = self.record(name)
        if record is None:
            return None
        scope = await self._scope(await self._driver(record.driver, patience=0.0))
        return Listed(name, record, PluginVolume(name), scope)

    async def list(self) -> tuple[list[Listed], list[str]]:
        """All volumes of all plugins that are there, and a warning for each that does not answer."""
        found: dict[str, Listed] = {}
        warnings: list[str] = []
        plugins = await self._plugins.all(KIND)
        answers = await asyncio.gather(*(VolumeDriver(plugin).list() for plugin in plugins), return_exceptions=True)
        for plugin, answer in zip(plugins, answers, strict=True):
            if isinstance(answer, PluginFailed):
                warnings.append(f"list {plugin.name}: {answer}")
                continue
            if isinstance(answer, BaseException):
                raise answer
            scope = await self._scope(VolumeDriver(plugin))
            for told in answer:
                known = self.record(told.name)
                if known is None or known.driver == plugin.name:
                    found.setdefault(told.name, Listed(told.name, known or Record(plugin.name, 0), told, scope))
        answered = {plugin.name for plugin, answer in zip(plugins, answers, strict=True) if isinstance(answer, list)}
        for name in self._records:
            record = self.record(name)
            if record is not None and record.driver not in answered:
                found.setdefault(name, Listed(name, record, PluginVolume(name)))
        return [found[name] for name in sorted(found)], warnings

    async def remove(self, name: str, *, force: bool) -> None:
        """Let the plugin remove it. `force`: forget it even where that fails. Raises NotFound, System."""
        record = self.record(name)
        if record is None:
            raise NotFound(f"get {name}: no such volume")
        for key in [key for key in self._again if key.partition("\0")[2] == name]:
            # It may be there again, and would keep what it believes to be in use.
            self._called_off(key)
            self._end(key, record.driver, missed=1)
        for key, task in list(self._ending.items()):
            if key.partition("\0")[2] == name:
                await asyncio.wait([task])
        try:
            with _said(f"remove {name}: ", looked_up=record.driver):
                patience = 0.0 if force else 30.0
                await (await self._driver(record.driver, patience=patience)).remove(name, patience=patience)
        except (System, NotFound):
            if not force:
                raise
        await asyncio.wrap_future(self._store.commit([Delete(TABLE, name)]))

    async def _scope(self, driver: VolumeDriver) -> str:
        """Asked once, as by Docker."""
        if driver.name not in self._scopes and (told := await driver.scope()):
            self._scopes[driver.name] = told
        return self._scopes.get(driver.name, "local")

    async def _keep(self, name: str, record: Record) -> Record:
        await asyncio.wrap_future(self._store.commit([Put(TABLE, name, msgspec.json.encode(record))]))
        return record

    async def _driver(self, name: str, *, patience: float = 30.0) -> VolumeDriver:
        return VolumeDriver(await self._plugins.get(name, KIND, patience=patience))

    # uses

    async def hold(self, user: str, name: str) -> None:
        """Let the plugin mount it for `user`, once however often, and look at where. Raises NotFound, System."""
        record = self.record(name)
        if record is None:
            raise NotFound(f"get {name}: no such volume")
        key = f"{user}\0{name}"
        if (ending := self._ending.get(key)) is not None:
            await asyncio.wait([ending])
        self._called_off(key)
        # A path that is known belongs to a use that may have ended by the time of this one.
        await asyncio.wrap_future(self._store.commit([Put(MOUNTS, key, record.driver.encode())]))
        try:
            with _said(f"error while mounting volume '{name}': ", looked_up=record.driver):
                plugin = await self._driver(record.driver)
                path = await plugin.mount(name, _use(key))
                where = self._plugins.where(record.driver)
                os.close(await asyncio.to_thread(open_mountpoint, path, self._secret, where))
        except BaseException:
            self._end(key, record.driver)
            raise
        with self._lock:
            self._places[name] = (path, where)

    def let_go(self, user: str) -> None:
        """End all uses of `user`; the plugin is told beside."""
        for key in [key for key in self._mounts if key.partition("\0")[0] == user]:
            self._end(key, self._mounts[key].decode())

    def settle(self, living: Callable[[str], bool]) -> None:
        """After a restart of the daemon: end the uses of everybody who does not live, learn the places of the others'."""
        for key in list(self._mounts):
            user, _, name = key.partition("\0")
            if living(user):
                self._beside(f"\0{name}", self._find_place(name))
            else:
                self._end(key, self._mounts[key].decode())

    async def _find_place(self, name: str) -> None:
        try:
            found = await self.get(name)
        except (System, NotFound) as error:
            _log.warning("volume %s: %s", name, error)
            return
        with self._lock:
            self._places.setdefault(name, (found.told.mountpoint, self._plugins.where(found.record.driver)))

    def place(self, name: str) -> str:
        """Where it was last mounted, as its plugin says; "" where that is not known."""
        with self._lock:
            return self._places[name][0] if name in self._places else ""

    def _end(self, key: str, driver: str, missed: int = 0) -> None:
        """`missed`: how often the plugin was away already."""
        if key not in self._ending and key not in self._again:
            self._beside(key, self._unmount(key, driver, missed))

    def _called_off(self, key: str) -> None:
        """The plugin is not told again of this end: now, or because the same user begins anew."""
        if (timer := self._again.pop(key, None)) is not None:
            timer.cancel()

    def _beside(self, key: str, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._ending[key] = task
        task.add_done_callback(lambda _: self._ending.pop(key, None))

    async def _unmount(self, key: str, driver: str, missed: int) -> None:
        name = key.partition("\0")[2]
        try:
            patience = 0.0 if missed else RETRY_SECONDS
            await (await self._driver(driver, patience=patience)).unmount(name, _use(key), patience=patience)
        except PluginRefused as error:
            # It knows nothing of it: there is nothing to come back for.
            _log.warning("volume %s: unmounting: %s", name, error)
        except (PluginFailed, PluginNotFound) as error:
            if isinstance(error, PluginNotFound) and self.record(name) is None:
                await self._told(key)  # gone for good, as the volume is
                return
            if not missed:
                _log.warning("volume %s: it stays mounted until the plugin is there again: %s", name, error)
            self._missed(key, driver, missed + 1)
            return
        else:
            if missed:
                _log.info("volume %s: plugin %s is there again and has been told of the end of a use", name, driver)
        await self._told(key)

    async def _told(self, key: str) -> None:
        await asyncio.wrap_future(self._store.commit([Delete(MOUNTS, key)]))

    def _missed(self, key: str, driver: str, times: int) -> None:
        def again() -> None:
            del self._again[key]
            self._end(key, driver, times)

        pause = min(_AGAIN * 2 ** min(times - 1, 8), _SELDOM)
        self._again[key] = asyncio.get_running_loop().call_later(pause, again)

    def tree(self, name: str, below: str, flags: OpenTree) -> int:
        """A copy of a held volume's mount that no namespace shows, or of a part of it. Raises KeyError, OSError, System.

        Nothing stays open of it here: a descriptor in the mount would keep the plugin from unmounting it.
        """
        descriptor = self.directory(name)
        try:
            if below:
                with SafeRoot(descriptor) as root:
                    part = root.open(below)
                os.close(descriptor)
                descriptor = part
            return open_tree(descriptor, b"", flags | OpenTree.EMPTY_PATH)
        finally:
            os.close(descriptor)

    def directory(self, name: str) -> int:
        """A descriptor (O_PATH) of a held volume's directory; the caller closes it soon. Raises KeyError, OSError, System."""
        with self._lock:
            path, where = self._places[name]
        return open_mountpoint(path, self._secret, where)

    async def close(self) -> None:
        """Give up what is told beside; the notes stay for the next daemon."""
        for key in list(self._again):
            self._called_off(key)
        tasks = list(self._ending.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _use(key: str) -> str:
    """The id of a use, as long as Docker's. The same after a restart of the daemon, and for each start of a container."""
    return hashlib.sha256(key.encode()).hexdigest()


async def _has(driver: VolumeDriver, name: str) -> bool:
    try:
        return (await driver.get(name, patience=30.0)).name == name
    except PluginRefused:
        return False


@contextmanager
def _said(before: str, looked_up: str) -> Iterator[None]:
    """Puts what was asked before what a plugin said, as Docker's volume store does."""
    try:
        yield
    except PluginNotFound as error:
        raise NotFound(f"{before}error looking up volume plugin {looked_up}: {error}") from error
    except WrongKind as error:
        raise System(f"{before}error looking up volume plugin {looked_up}: {error}") from error
    except PluginFailed as error:
        raise System(f"{before}{error}") from error
    except OSError as error:
        raise System(f"{before}{error.strerror}: {error.filename}") from error
