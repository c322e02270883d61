"""Plugins that are to run: started, found again, watched, started anew when they end by themselves, stopped.

    start ──▶ listens within ten seconds ──▶ runs ──▶ ended? ──▶ a pause that doubles ──▶ start
    stop  ──▶ SIGTERM ── ten seconds ──▶ SIGKILL to all of it

On the event loop; what blocks is done in threads. Nobody waits for a plugin under a lock of another one.
"""

import asyncio
import logging
import os
import signal
import socket
import stat
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from sampan.errors import SampanError, System
from sampan.managed.bundle import OF_THE_HOST, Places, document
from sampan.managed.catalog import Record
from sampan.managed.configuration import collects_metrics, implements
from sampan.managed.process import Processes, Started, short
from sampan.managed.shelf import Shelf
from sampan.plugins.places import Address
from sampan.runtime.profile_files import thermal_throttle_paths

_log = logging.getLogger("sampan.plugins")
LISTEN_SECONDS = 10.0
"""How long a plugin has until something listens at its socket. Docker's patience."""
_STOP_SECONDS = 10.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 30.0
_SETTLED_SECONDS = 60.0
"""A plugin that ran so long ended for a reason of its own: the next pause is the first one again."""
_LOOK_SECONDS = 0.02
_CHUNK, _LINE = 1 << 16, 1 << 12
_OUTPUT_PAUSE = 0.1
"""Between two reads: a plugin that talks without end waits at its pipe, not the daemon."""


@dataclass(slots=True)
class _Run:
    """One plugin's process, or the pause before the next."""

    record: Record
    started: Started | None = None
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    wanted: bool = True
    began: float = 0.0
    failures: int = 0
    timer: asyncio.TimerHandle | None = None
    reading: asyncio.TimerHandle | None = None


class Metrics(Protocol):
    """Who gives plugins the daemon's metrics."""

    outlived: bool
    """whether the socket is the one that an earlier daemon had, and that its plugins have mounted"""

    def place(self) -> Path:
        """The socket, which listens. Raises System."""
        ...

    async def started(self, name: str, address: Address) -> None:
        """A plugin that collects them listens."""
        ...

    async def stopping(self, name: str) -> None:
        """It is about to be ended."""
        ...


class Supervisor:
    """All plugins that run. One for a daemon."""

    def __init__(self, processes: Processes, shelf: Shelf, label: str, metrics: Metrics) -> None:
        """`label` begins the names of their control groups."""
        self._metrics = metrics
        self._processes = processes
        self._shelf = shelf
        self._label = label
        self._runs: dict[str, _Run] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def _lock(self, identifier: str) -> asyncio.Lock:
        return self._locks.setdefault(identifier, asyncio.Lock())

    def address(self, record: Record) -> Address:
        """Where a plugin listens, and what its paths mean. What is there is the plugin's making: no link is followed."""
        root = str(self._shelf.rootfs(record.id, record.root))
        kinds = implements(record.config)
        return Address(socket=str(self._socket(record)), root=root, guarded=True, implements=kinds)

    def _socket(self, record: Record) -> Path:
        return self._processes.sockets(record.id) / record.config.interface.socket

    def pid(self, identifier: str) -> int:
        """The process of a plugin that runs now; 0 for none."""
        run = self._runs.get(identifier)
        return run.started.pid if run is not None and run.started is not None else 0

    async def start(self, record: Record) -> None:
        """Run a plugin until `stop`. Returns when it listens. Raises System with the reason; then it does not run."""
        async with self._lock(record.id):
            run = self._runs[record.id] = _Run(record)
            try:
                await self._bring_up(run)
            except BaseException:
                run.wanted = False
                await self._end(run)
                raise

    async def _bring_up(self, run: _Run) -> None:
        run.ended = asyncio.Event()
        run.began = time.monotonic()
        metrics = str(self._metrics.place()) if collects_metrics(run.record.config) else ""
        self._watch(run, await asyncio.to_thread(self._run, run.record, metrics))
        await self._listening(run)
        await self._tell_metrics(run.record)

    async def _tell_metrics(self, record: Record) -> None:
        if collects_metrics(record.config):
            await self._metrics.started(record.name, self.address(record))

    def _run(self, record: Record, metrics: str) -> Started:
        config = record.config
        try:
            sockets = self._processes.prepare(record.id, (config.user.uid, config.user.gid))
            propagated = self._share(record)
            places = Places(
                rootfs=str(self._shelf.rootfs(record.id, record.root)),
                sockets=str(sockets),
                propagated=propagated,
                cgroup=f"/{self._label}-plugin-{short(record.id)}",
                thermal=thermal_throttle_paths(),
                metrics=metrics,
                of_host=tuple(path for path in OF_THE_HOST if os.path.exists(path)),
            )
            return self._processes.start(record.id, document(record, places))
        except OSError as error:
            raise System(f"plugin {record.name} cannot be started: {error}") from error

    def _share(self, record: Record) -> str:
        inside = record.config.propagated_mount
        return str(self._shelf.share(record.id, record.root, inside)) if inside else ""

    async def _listening(self, run: _Run) -> None:
        deadline = time.monotonic() + LISTEN_SECONDS
        place = self._socket(run.record)
        while not is_listened_at(place):
            if run.ended.is_set():
                raise System(f"plugin {run.record.name} ended before it listened at {place.name}")
            if time.monotonic() > deadline:
                raise System(f"dial unix {place}: nothing listens there after {LISTEN_SECONDS:.0f} seconds")
            await asyncio.sleep(_LOOK_SECONDS)

    # ---- what runs is watched

    def _watch(self, run: _Run, started: Started) -> None:
        run.started = started
        loop = asyncio.get_running_loop()
        loop.add_reader(started.pidfd, self._exited, run)
        loop.add_reader(started.output, self._said, run)

    def _said(self, run: _Run) -> None:
        """Some of what it writes, a line each into the daemon's log."""
        if run.started is None:
            return
        loop, output = asyncio.get_running_loop(), run.started.output
        loop.remove_reader(output)
        if _tell(run.record.name, output):
            run.reading = loop.call_later(_OUTPUT_PAUSE, loop.add_reader, output, self._said, run)

    def _exited(self, run: _Run) -> None:
        self._let_go(run)
        run.ended.set()
        if run.wanted and self._runs.get(run.record.id) is run and not self._lock(run.record.id).locked():
            _log.warning("plugin %s has ended by itself", run.record.name)
            self._again(run)

    def _let_go(self, run: _Run) -> None:
        started, run.started = run.started, None
        if started is None:
            return
        loop = asyncio.get_running_loop()
        loop.remove_reader(started.pidfd)
        loop.remove_reader(started.output)
        if run.reading is not None:
            run.reading.cancel()
        _tell(run.record.name, started.output)
        started.close()

    def _again(self, run: _Run) -> None:
        """Start it anew, later each time that it does not last."""
        if time.monotonic() - run.began > _SETTLED_SECONDS:
            run.failures = 0
        pause = min(_FIRST_PAUSE * 2**run.failures, _LONGEST_PAUSE)
        run.failures = min(run.failures + 1, 16)
        run.timer = asyncio.get_running_loop().call_later(pause, self._spawn_restart, run)

    def _spawn_restart(self, run: _Run) -> None:
        task = asyncio.get_running_loop().create_task(self._restart(run))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _restart(self, run: _Run) -> None:
        async with self._lock(run.record.id):
            if not run.wanted or self._runs.get(run.record.id) is not run:
                return
            try:
                await self._bring_up(run)
            except SampanError as error:
                _log.error("plugin %s does not come up again: %s", run.record.name, error)
                await self._clear(run)
                self._again(run)

    # ---- the end

    async def stop(self, identifier: str) -> None:
        """End a plugin: SIGTERM, and after ten seconds SIGKILL. What it mounted is gone then. Raises System."""
        async with self._lock(identifier):
            run = self._runs.get(identifier)
            if run is None:
                return
            run.wanted = False
            if run.timer is not None:
                run.timer.cancel()
            if run.started is not None:
                await self._metrics.stopping(run.record.name)
                self._processes.signal(run.started, signal.SIGTERM)
                try:
                    await asyncio.wait_for(run.ended.wait(), _STOP_SECONDS)
                except TimeoutError:
                    _log.warning("plugin %s does not end by itself: killed", run.record.name)
            await self._end(run)

    async def _end(self, run: _Run) -> None:
        """Leave nothing of it."""
        await self._clear(run)
        if self._runs.get(run.record.id) is run:
            del self._runs[run.record.id]

    async def _clear(self, run: _Run) -> None:
        self._let_go(run)
        try:
            await asyncio.to_thread(self._cleared, run.record)
        except OSError as error:
            raise System(f"what plugin {run.record.name} mounted cannot be unmounted: {error}") from error

    def _cleared(self, record: Record) -> None:
        self._processes.forget(record.id)
        if record.config.propagated_mount:
            self._shelf.unshare(record.id)

    # ---- a daemon's beginning and end

    async def take_over(self, records: Iterable[Record]) -> None:
        """Find the plugins that are to run, start those that do not, and end what runs and is not to."""
        wanted = {record.id: record for record in records if record.enabled}
        kept = {short(identifier) for identifier in wanted}
        for name in await asyncio.to_thread(self._processes.known):
            if name not in kept:
                await asyncio.to_thread(self._processes.forget, name)
        await asyncio.gather(*(self._take_over(record) for record in wanted.values()))

    async def _take_over(self, record: Record) -> None:
        async with self._lock(record.id):
            run = self._runs[record.id] = _Run(record)
            found = await asyncio.to_thread(self._processes.find, record.id)
            if found is not None and collects_metrics(record.config) and not self._metrics.outlived:
                found.close()
                _log.info("plugin %s is started anew: the socket of the metrics is another one", record.name)
            elif found is not None:
                run.began = time.monotonic()
                self._watch(run, found)
                _log.info("plugin %s: adopted, pid %d", record.name, found.pid)
                await self._tell_metrics(record)
                return
            try:
                await self._bring_up(run)
            except SampanError as error:
                _log.error("plugin %s cannot be started: %s", record.name, error)
                await self._clear(run)
                self._again(run)

    async def close(self, *, stop: bool) -> None:
        """Let go of all; with `stop` end them."""
        runs = list(self._runs.values())
        for run in runs:
            if run.timer is not None:
                run.timer.cancel()
        if stop:
            await asyncio.gather(*(self.stop(run.record.id) for run in runs))
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for run in runs:
            run.wanted = False
            self._let_go(run)


def _tell(name: str, output: int) -> bool:
    """Put into the log what there is of a plugin's output, a chunk of it at most. False at its end."""
    try:
        data = os.read(output, _CHUNK)
    except BlockingIOError:
        return True
    for line in data.splitlines():
        text = line[:_LINE].decode("utf-8", "replace").expandtabs()
        _log.info("plugin %s: %s", name, "".join(c if c.isprintable() else "�" for c in text))
    return bool(data)


def is_listened_at(place: Path) -> bool:
    """Whether a socket is at `place` itself, no link, and takes connections."""
    try:
        descriptor = os.open(place, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
            return False
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as asking:
            asking.connect(f"/proc/self/fd/{descriptor}")
    except BlockingIOError:
        return True  # somebody listens, and is behind
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True
