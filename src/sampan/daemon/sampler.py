"""The one sampler: everything that is watched is read once a second, encoded once, and given to all who watch it.

A hundred clients of one container cost little more than one, and a hundred containers some ten milliseconds a second.
Clients that are slower than the sampler miss samples; nothing is kept for them but the newest.
"""

import asyncio
import logging
import os
import resource
from collections.abc import Collection

from sampan.daemon import stats_document, verify
from sampan.daemon.container import Container
from sampan.daemon.names import Registry
from sampan.daemon.needs import Wiring
from sampan.daemon.readings import DESCRIPTORS, Readings
from sampan.errors import NotFound
from sampan.host.processors import ProcessorTime
from sampan.runtime.port import Runtime
from sampan.spec.document import encode
from sampan.spec.ids import ContainerId
from sampan.spec.stats import StatsResponse

_log = logging.getLogger("sampan.daemon")
_SECOND = 1.0
_MOST_HOPS = 32
"""From a container to the one whose network it shares, and on."""
_TOO_SOON = 0.5
"""Seconds; shares of processor time over less than that are noise."""
_AT_ONCE = 8
"""Containers that are read before others have their turn on the event loop."""


class Frame:
    """One sample as it is sent. `whole` when there was one before it to compare with, or when nothing runs."""

    __slots__ = ("data", "whole")

    def __init__(self, document: StatsResponse, *, whole: bool) -> None:
        self.data = encode(document) + b"\n"
        self.whole = whole


class Watch:
    """One client's view of one container: the newest frame, each at most once."""

    __slots__ = ("_frame", "_news", "_over")

    def __init__(self) -> None:
        self._frame: Frame | None = None
        self._news = asyncio.Event()
        self._over = False

    def offer(self, frame: Frame) -> None:
        """There is a newer one; what has not been taken yet is forgotten."""
        self._frame = frame
        self._news.set()

    def end(self) -> None:
        """There will be none any more."""
        self._over = True
        self._news.set()

    async def next(self) -> Frame | None:
        """Wait for a frame that has not been seen; None at the end."""
        while self._frame is None and not self._over:
            self._news.clear()
            await self._news.wait()
        frame, self._frame = self._frame, None
        return frame


class _Watched:
    """A container with those who watch it."""

    __slots__ = ("container", "frame", "previous", "readings", "taken", "watches")

    def __init__(self, container: Container) -> None:
        self.container = container
        self.watches: set[Watch] = set()
        self.readings: Readings | None = None
        self.previous: StatsResponse | None = None
        self.frame: Frame | None = None
        self.taken = 0.0


class Sampler:
    """All that is watched. Everything here runs on the event loop; nothing does while nobody watches."""

    def __init__(self, runtime: Runtime, containers: Registry[Container], wiring: Wiring) -> None:
        self._wiring = wiring
        self._runtime = runtime
        self._containers = containers
        self._watched: dict[ContainerId, _Watched] = {}
        self._task: asyncio.Task[None] | None = None
        self._processors: ProcessorTime | None = None
        self._memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        self._kept = 0
        # Half of the descriptors may be ours; beyond that files are opened for each sample.
        self._most_kept = resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2 // DESCRIPTORS

    def watch(self, container: Container) -> Watch:
        """Begin to watch. The first frame is there at once; `leave` ends it."""
        watched = self._watched.get(container.id)
        if watched is None:
            system = self._system()
            watched = self._watched[container.id] = _Watched(container)
            self._sample(watched, system)
        watch = Watch()
        watched.watches.add(watch)
        if watched.frame is not None:
            watch.offer(watched.frame)
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run())
        return watch

    def _interfaces(self, container: Container) -> Collection[str]:
        """What the engine gave the container, or the one whose network it shares."""
        for _ in range(_MOST_HOPS):
            joined = verify.joins(container.definition.host.network_mode)
            if not joined:
                break
            try:
                container = self._containers.find(joined)
            except NotFound:
                return ()
        connected = self._wiring.connected(container.id)
        return connected.interfaces if connected is not None else ()

    def leave(self, container: Container, watch: Watch) -> None:
        """The client has gone; with the last one the container is no longer read."""
        watched = self._watched.get(container.id)
        if watched is None:
            return
        watched.watches.discard(watch)
        if not watched.watches:
            del self._watched[container.id]
            self._close(watched)

    def once(self, container: Container) -> Frame:
        """One sample by itself, with nothing to compare it with."""
        alone = _Watched(container)
        try:
            self._sample(alone, self._system())
        finally:
            self._close(alone)
        assert alone.frame is not None
        return alone.frame

    def reading(self, container: Container) -> StatsResponse | None:
        """What is counted of one container now, by itself; None where its run is over."""
        alone = _Watched(container)
        try:
            return self._read(alone, self._system())
        finally:
            self._close(alone)

    def ended(self, container: ContainerId) -> None:
        """A container's program has ended: nothing of it may be held, least of all its network."""
        watched = self._watched.get(container)
        if watched is not None:
            self._close(watched)
            watched.previous = None

    def close(self) -> None:
        """End every watch; the daemon ends."""
        if self._task is not None:
            self._task.cancel()
        for watched in self._watched.values():
            self._close(watched)
            for watch in watched.watches:
                watch.end()
        self._watched.clear()
        if self._processors is not None:
            self._processors.close()
            self._processors = None

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        try:
            while self._watched:
                due = max(due + _SECOND, loop.time())
                await asyncio.sleep(due - loop.time())
                await self._tick(loop.time())
        finally:
            self._task = None

    async def _tick(self, now: float) -> None:
        system = self._system()
        for count, watched in enumerate(list(self._watched.values()), 1):
            if self._containers.get(watched.container.id) is not watched.container:
                for watch in watched.watches:
                    watch.end()
            elif now - watched.taken > _TOO_SOON and watched.watches:
                self._sample(watched, system)
                assert watched.frame is not None
                for watch in watched.watches:
                    watch.offer(watched.frame)
            if count % _AT_ONCE == 0:
                await asyncio.sleep(0)

    def _system(self) -> tuple[int, int]:
        if self._processors is None:
            self._processors = ProcessorTime()
        return self._processors.read()

    def _sample(self, watched: _Watched, system: tuple[int, int]) -> None:
        """Read one container and make its frame."""
        container = watched.container
        watched.taken = asyncio.get_running_loop().time()
        found = self._read(watched, system) if container.state.alive else None
        if found is None:
            watched.previous = None
            watched.frame = Frame(stats_document.nothing(container.name, container.id), whole=True)
            return
        previous, watched.previous = watched.previous, found
        shown = found if previous is None else stats_document.after(previous, found)
        watched.frame = Frame(shown, whole=previous is not None)

    def _read(self, watched: _Watched, system: tuple[int, int]) -> StatsResponse | None:
        """What is counted now; None where the run is over, or over and begun anew."""
        container = watched.container
        if watched.readings is not None and watched.readings.run != container.state.started_ns:
            self._close(watched)
            watched.previous = None
        try:
            if watched.readings is None:
                watched.readings = Readings(container, self._runtime, self._interfaces)
                self._kept += 1
            return watched.readings.sample(system, self._memory)
        except KeyError:
            # It has ended, and its exit is on the way.
            return None
        except OSError as error:
            _log.debug("statistics of container %s: %s", container.id[:12], error)
            self._close(watched)
            return None
        finally:
            if self._kept > self._most_kept:
                self._close(watched)

    def _close(self, watched: _Watched) -> None:
        if watched.readings is not None:
            watched.readings.close()
            watched.readings = None
            self._kept -= 1
