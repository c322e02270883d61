"""What blocks, in threads: waited for to its end, also by a build that is called off, for what it works on is closed then."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, Protocol, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Workers(Protocol):
    """Threads."""

    async def run(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The call's result. Cancelling the wait does not stop the call."""
        ...


async def carried_through(work: Coroutine[Any, Any, T]) -> T:
    """The outcome of `work`, which goes on to its end though the caller is cancelled meanwhile; that is told afterwards."""
    task = asyncio.get_running_loop().create_task(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        if not task.cancelled():
            task.exception()  # nobody waits for it any more
        raise cancelled
    return task.result()


class Threads:
    """One build's use of them."""

    def __init__(self, workers: Workers) -> None:
        self._workers = workers

    async def run(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The call's result, from another thread. It has ended when this returns or raises."""
        return await carried_through(self._workers.run(call, *args, **kwargs))
