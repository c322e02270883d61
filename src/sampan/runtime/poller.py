"""One loop over many descriptors for a small process: who is called when one is ready, and what has a time to be done by.

Loaded by the launcher.
"""

from __future__ import annotations

import collections
import select
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

READ = select.EPOLLIN
WRITE = select.EPOLLOUT


class Poller:
    """epoll(7). A callback may remove any descriptor, its own and others; it hears which events are there."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._calls: dict[int, Callable[[int], None]] = {}
        self._due: dict[float, collections.deque[tuple[float, Callable[[], None]]]] = {}
        """by length of the wait: within one length what was asked for first is due first"""

    def add(self, descriptor: int, call: Callable[[int], None], events: int = READ) -> None:
        """Call `call` whenever `descriptor` is ready."""
        self._epoll.register(descriptor, events)
        self._calls[descriptor] = call

    def change(self, descriptor: int, events: int) -> None:
        """Wait for other events of it."""
        self._epoll.modify(descriptor, events)

    def remove(self, descriptor: int) -> None:
        """Before it is closed. One that is not there is left alone."""
        if self._calls.pop(descriptor, None) is not None:
            self._epoll.unregister(descriptor)

    def later(self, seconds: float, call: Callable[[], None]) -> None:
        """Call `call` so much later. For few different lengths: each has a queue of its own."""
        self._due.setdefault(seconds, collections.deque()).append((time.monotonic() + seconds, call))

    def turn(self, longest: float) -> None:
        """Wait for at most `longest` seconds, and call whom it concerns."""
        first = min((queue[0][0] for queue in self._due.values() if queue), default=None)
        if first is not None:
            longest = min(longest, max(0.0, first - time.monotonic()))
        for descriptor, events in self._epoll.poll(longest):
            # Removed by a call before: then it is not this one's any more.
            if (call := self._calls.get(descriptor)) is not None:
                call(events)
        now = time.monotonic()
        for queue in list(self._due.values()):
            while queue and queue[0][0] <= now:
                queue.popleft()[1]()
