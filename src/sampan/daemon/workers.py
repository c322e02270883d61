"""A few threads for what would keep the event loop waiting: archives, walks over layers, pruning."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextvars import copy_context
from functools import partial
from typing import ParamSpec, TypeVar

from sampan.daemon.threads import Threads

P = ParamSpec("P")
T = TypeVar("T")

_THREADS = 4
_WALKS = 2
"""Walks over files at once: the disk gains nothing by more, and the other threads stay free."""


class Workers:
    """The threads. They start when they are first needed."""

    def __init__(self) -> None:
        self._pool = Threads(_THREADS, thread_name_prefix="worker")
        self._walks = asyncio.Semaphore(_WALKS)
        self._walking: dict[tuple[str, str], asyncio.Task[int]] = {}

    async def run(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The call's result, from another thread. Cancelling the wait does not stop the call."""
        # In the caller's context: a line of the log says there, too, which request it is about.
        return await asyncio.wrap_future(self._pool.submit(copy_context().run, partial(call, *args, **kwargs)))

    async def measure(self, kind: str, name: str, walk: Callable[[], int]) -> int:
        """What `walk` finds, from another thread: a few walks at once, and one for all who ask for the same meanwhile."""
        task = self._walking.get((kind, name))
        if task is None:
            task = asyncio.get_running_loop().create_task(self._walk(walk))
            self._walking[kind, name] = task
            task.add_done_callback(partial(self._walked, kind, name))
        return await asyncio.shield(task)

    async def _walk(self, walk: Callable[[], int]) -> int:
        async with self._walks:
            return await self.run(walk)

    def _walked(self, kind: str, name: str, task: asyncio.Task[int]) -> None:
        del self._walking[kind, name]
        if not task.cancelled():
            task.exception()  # told to whoever still waits; nobody may

    async def iterate(self, make: Callable[[], Iterator[T]]) -> AsyncIterator[T]:
        """What an iterator yields, made and stepped through in another thread, a few items ahead at most."""
        iterator: Iterator[T] | None = None

        def step() -> tuple[bool, T | None]:
            nonlocal iterator
            if iterator is None:
                iterator = make()
            for item in iterator:
                return True, item
            return False, None

        while True:
            more, item = await self.run(step)
            if not more:
                return
            yield item  # type: ignore[misc]  # an item is there whenever `more` is set

    def close(self) -> None:
        """Wait for what is under way, and end the threads."""
        self._pool.shutdown(wait=True, cancel_futures=True)
