"""What keeps a daemon that runs for months from growing: its heap is one, and free pages of it go back.

By default each thread has a heap of its own. What one thread leaves free there no other uses, and little of it goes back: after an
hour of work of all kinds twenty megabytes lay in such holes. The interpreter's lock lets one thread allocate at a time anyway.
"""

import asyncio

from sampan.kernel import allocator

_EVERY_SECONDS = 60.0


def settle() -> None:
    """Before the first thread begins."""
    allocator.limit_arenas(1)


async def keep_trimmed() -> None:
    """Give back what is free, now and then, for ever."""
    while True:
        await asyncio.sleep(_EVERY_SECONDS)
        allocator.trim()
