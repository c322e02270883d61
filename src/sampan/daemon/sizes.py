"""How much room writable layers and volumes take, told at once: what was measured last, measured again as long as somebody asks.

No file system that is common tells it, and a walk takes a second for a few hundred thousand files. So:

- What is small is measured for each question (`_BUDGET` for all of it together), and exact.
- What is not is answered from its last walk, and walked again in the background, for a tenth of one processor at most.
- A container that does not run is not walked again: nothing writes to its layer but copies into it.
- What was never measured is waited for.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import msgspec

from sampan.daemon.engine import Engine
from sampan.daemon.workers import Workers
from sampan.errors import NotFound
from sampan.snapshots.protocol import Snapshotter
from sampan.spec.ids import ContainerId
from sampan.state.store import Delete, Put
from sampan.volumes.local import Volumes

TABLE = "sizes"
_BUDGET = 0.025
"""Seconds that one answer waits for walks."""
_SHARE = 10
"""A walk that took a second is not done again within so many."""
_AT_ONCE = 2
"""Walks at once: the disk gains nothing by more."""
_ROUND = 5.0
_INTEREST = 3600.0
"""Seconds after a question in which sizes are kept up to date."""
_KEPT = 0.1
"""A walk that took so many seconds is worth a row: the next daemon starts with it."""
_log = logging.getLogger("sampan.daemon")

Key = tuple[str, str]
"""container or volume, and its id or name."""


class _Known(msgspec.Struct):
    """What a walk found. `mark`: how often the container had run and been written to; `took` and `at` in seconds."""

    size: int
    took: float
    mark: tuple[int, ...] = ()
    at: float = 0.0


@dataclass(frozen=True, slots=True)
class Deadline:
    """When one answer is to be given, on the event loop's clock."""

    at: float


class Sizes:
    """The sizes of one daemon; on its event loop."""

    def __init__(self, engine: Engine, volumes: Volumes, snapshots: Snapshotter, workers: Workers) -> None:
        self._engine = engine
        self._snapshots = snapshots
        self._volumes = volumes
        self._workers = workers
        self._known: dict[Key, _Known] = {}
        self._walking: dict[Key, asyncio.Task[int]] = {}
        self._large = asyncio.Lock()
        self._walks = asyncio.Semaphore(_AT_ONCE)
        self._asked = -_INTEREST
        self._round: asyncio.Task[None] | None = None
        for name, row in engine.store.table(TABLE).items():
            kind, _, rest = name.partition("/")
            # What was copied into a container since is not known any more: to be walked again, when somebody asks.
            self._known[kind, rest] = msgspec.structs.replace(msgspec.json.decode(row, type=_Known), mark=())

    def deadline(self) -> Deadline:
        """For all sizes of one answer; from now on they are kept up to date."""
        self._asked = time.monotonic()
        if self._round is None or self._round.done():
            self._round = self._engine.spawn(self._follow(), "following sizes")
        return Deadline(self._asked + _BUDGET)

    async def container(self, container: ContainerId, until: Deadline) -> int:
        """Bytes of a container's writable layer. Raises NotFound."""
        key = ("container", container)
        known = self._known.get(key)
        if known is not None and known.mark and known.mark == self._mark(container):
            return known.size
        return await self._told(key, known, until)

    async def volume(self, name: str, until: Deadline) -> int:
        """Bytes of the files in a volume. Raises NotFound, OSError."""
        return await self._told(("volume", name), self._known.get(("volume", name)), until)

    async def _told(self, key: Key, known: _Known | None, until: Deadline) -> int:
        if known is not None and self._is_fresh(known):
            return known.size
        walk = self._walk(key)
        if known is None:
            return await asyncio.shield(walk)
        if known.took < _BUDGET:
            await asyncio.wait({walk}, timeout=max(0.0, until.at - time.monotonic()))
        return walk.result() if walk.done() else known.size

    def _is_fresh(self, known: _Known) -> bool:
        return known.took > _BUDGET / 2 and time.monotonic() - known.at < known.took * _SHARE

    def _mark(self, container: ContainerId) -> tuple[int, ...]:
        """What another run or copy changes; empty while something can write at any time."""
        found = self._engine.containers.get(container)
        transfers = self._engine.transfers
        if found is None or found.state.running or found.starting or transfers.busy(container):
            return ()
        return found.state.started_ns, found.state.finished_ns, transfers.count(container)

    def _walk(self, key: Key) -> "asyncio.Task[int]":
        """The walk under way, or a new one."""
        task = self._walking.get(key)
        if task is None:
            task = asyncio.get_running_loop().create_task(self._measured(key))
            self._walking[key] = task
            task.add_done_callback(partial(self._walked, key))
        return task

    def _walked(self, key: Key, task: "asyncio.Task[int]") -> None:
        del self._walking[key]
        if not task.cancelled():
            task.exception()  # told to whoever still waits; nobody may

    async def _measured(self, key: Key) -> int:
        known = self._known.get(key)
        if known is not None and known.took > _BUDGET:
            async with self._large:  # those that take long wait for each other, and nobody waits for them
                return await self._measure(key)
        return await self._measure(key)

    async def _measure(self, key: Key) -> int:
        kind, name = key
        mark = self._mark(ContainerId(name)) if kind == "container" else ()
        async with self._walks:
            size, took = await self._workers.run(_timed, self._walker(kind), name)
        still = mark and mark == self._mark(ContainerId(name))
        known = _Known(size, took, mark if still else (), time.monotonic())
        self._known[key] = known
        if known.took > _KEPT:
            row = msgspec.json.encode(msgspec.structs.replace(known, at=0.0))
            self._engine.store.commit([Put(TABLE, f"{kind}/{name}", row)])
        return size

    def _walker(self, kind: str) -> Callable[[str], int]:
        return self._volumes.size if kind == "volume" else lambda name: self._snapshots.usage(name).size

    async def _follow(self) -> None:
        """One after the other what may have changed, until nobody has asked for an hour."""
        while time.monotonic() - self._asked < _INTEREST:
            await asyncio.sleep(_ROUND)
            self._forget()
            for key, known in list(self._known.items()):
                changed = not known.mark or known.mark != self._mark(ContainerId(key[1]))
                if known.took > _BUDGET / 2 and changed and not self._is_fresh(known):
                    try:
                        await asyncio.shield(self._walk(key))
                    except (NotFound, OSError) as error:
                        _log.debug("%s %s is not measured: %s", *key, error)

    def _forget(self) -> None:
        """What is gone takes no room."""
        volumes = {volume.name for volume in self._volumes.list()}
        for key in list(self._known):
            kind, name = key
            if name in volumes if kind == "volume" else self._engine.containers.get(ContainerId(name)) is not None:
                continue
            del self._known[key]
            if f"{kind}/{name}" in self._engine.store.table(TABLE):
                self._engine.store.commit([Delete(TABLE, f"{kind}/{name}")])


def _timed(walk: Callable[[str], int], name: str) -> tuple[int, float]:
    """What a walk finds, and the seconds that it takes; in a worker thread, where no queue counts."""
    began = time.monotonic()
    size = walk(name)
    return size, time.monotonic() - began
