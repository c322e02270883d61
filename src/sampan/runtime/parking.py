"""A monitor is made ahead of time and waits: what parked slots and parked monitors of execs have in common."""

import asyncio
from collections.abc import Awaitable, Callable

from sampan.runtime.messages import Kind, pair
from sampan.runtime.monitored import Monitored
from sampan.runtime.request import Exit
from sampan.runtime.start_failure import StartFailed

Fork = Callable[[Kind, object, list[int]], Awaitable[int]]
"""Has the launcher fork a monitor from a message's kind, body and descriptors; its pidfd. Raises StartFailed."""


async def park(
    fork: Fork, kind: Kind, body: object, monitored: Monitored, when_gone: Callable[[Monitored], None]
) -> None:
    """Make the process that `monitored` speaks for, and wait until it has said that it is parked.

    `when_gone` is called if it ends later. Raises StartFailed; then, and when cancelled, it has been let go.
    """
    ours, theirs = pair()
    monitored.listen(ours, _no_end)
    try:
        monitored.watch_monitor(await fork(kind, body, [theirs.fileno()]), when_gone)
        # The launcher has its copy: the end of the monitor must be the end of the channel.
        theirs.close()
        await monitored.parked
    except (StartFailed, asyncio.CancelledError):
        monitored.let_go()
        raise
    finally:
        theirs.close()


def _no_end(_monitored: Monitored, _ended: Exit) -> None:
    """What is parked has no program that could end."""
