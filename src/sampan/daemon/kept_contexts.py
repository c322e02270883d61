"""Contexts that arrived and may be asked for again: a client that has the same files as before need not send them.

The client names its files by a stamp: names, sizes, times and inodes, digested. Not found, it sends them, and they are kept here.
In memory, bounded, and for a while only: an idle daemon has none.
"""

import asyncio

from sampan.build.tree.context import Arrival, Context
from sampan.errors import NotFound

MOST_ENTRIES = 100_000
MOST_BYTES = 512 << 20
SECONDS = 15 * 60.0
"""after its last use"""


class NotKept(NotFound):
    """Nothing is kept under a stamp; the client sends its files."""

    def __init__(self, stamp: str) -> None:
        super().__init__(f"No such build context: {stamp}")


class KeptContexts:
    """By stamp, what was used last at the end. On the event loop."""

    def __init__(self) -> None:
        self._kept: dict[str, Arrival] = {}
        self._ends: dict[str, asyncio.TimerHandle] = {}

    def context(self, stamp: str, into: int) -> Context:
        """The files of the stamp again, as `Arrival.context`. Raises NotKept, OSError."""
        arrival = self._kept.get(stamp)
        if arrival is None:
            raise NotKept(stamp)
        self._use(stamp, arrival)
        return arrival.context(into)

    def keep(self, stamp: str, arrival: Arrival) -> None:
        """Keep it, and let go of what is too much then, the least used first. Takes over the arrival."""
        self.drop(stamp)
        self._use(stamp, arrival)
        while self._kept and not self._fits():
            self.drop(next(iter(self._kept)))

    def _fits(self) -> bool:
        entries = sum(one.entries for one in self._kept.values())
        return entries <= MOST_ENTRIES and sum(one.size for one in self._kept.values()) <= MOST_BYTES

    def _use(self, stamp: str, arrival: Arrival) -> None:
        self._kept.pop(stamp, None)
        self._kept[stamp] = arrival
        if stamp in self._ends:
            self._ends[stamp].cancel()
        self._ends[stamp] = asyncio.get_running_loop().call_later(SECONDS, self.drop, stamp)

    def drop(self, stamp: str) -> None:
        """Keep it no longer."""
        arrival = self._kept.pop(stamp, None)
        if arrival is not None:
            self._ends.pop(stamp).cancel()
            arrival.close()
