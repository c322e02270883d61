"""Who has a container's file system open beside the container itself: porters at work, by container.

One owner for each upper directory: a porter keeps the container's overlay, so a start waits until the last one is through.
"""

import asyncio
from collections import Counter

from sampan.spec.ids import ContainerId
from sampan.transfer.porter import Porter

_PATIENCE = 30.0
"""Seconds that a start waits for a client who copies; after them the copy is broken off."""


class Transfers:
    """The porters of one daemon. Everything runs on the event loop."""

    def __init__(self) -> None:
        self._open: dict[ContainerId, set[Porter]] = {}
        self._free: dict[ContainerId, asyncio.Event] = {}
        self._counts: Counter[ContainerId] = Counter()

    def count(self, container: ContainerId) -> int:
        """How many porters have been at work in the container since this daemon began."""
        return self._counts[container]

    def forget(self, container: ContainerId) -> None:
        """The container is removed."""
        del self._counts[container]

    def busy(self, container: ContainerId) -> bool:
        """Whether a porter is at work in that container."""
        return container in self._open

    def begin(self, container: ContainerId, porter: Porter) -> None:
        """Note a porter. The caller holds the container's lock, and calls `finish` in any case."""
        self._counts[container] += 1
        self._open.setdefault(container, set()).add(porter)
        self._free.setdefault(container, asyncio.Event())

    async def finish(self, container: ContainerId, porter: Porter) -> None:
        """End a porter, and forget it when it has let go of everything."""
        await porter.close()
        porters = self._open.get(container, set())
        porters.discard(porter)
        if not porters and container in self._open:
            del self._open[container]
            self._free.pop(container).set()

    async def settle(self, container: ContainerId) -> None:
        """Wait until the last porter of the container is through; those who take too long are broken off."""
        free = self._free.get(container)
        if free is None:
            return
        try:
            await asyncio.wait_for(free.wait(), _PATIENCE)
        except TimeoutError:
            await self.end(container)

    async def end(self, container: ContainerId) -> None:
        """Break off everything that is carried into or out of the container."""
        for porter in tuple(self._open.get(container, ())):
            await self.finish(container, porter)

    async def close(self) -> None:
        """Break off everything."""
        for container in tuple(self._open):
            await self.end(container)
