"""A second thread of an unpacking process, for what can be done while the first goes on to the next entries: large contents.

The kernel keeps capabilities and filters for each thread (capabilities(7), seccomp(2)): it confines itself before it takes a job,
and nothing of an archive is read before it has.
"""

from __future__ import annotations

import _thread
from _queue import SimpleQueue

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_WAITING = 8
"""Jobs that may wait: each holds a descriptor and a content."""


class SecondHand:
    """Does jobs in their order. For one thread, which ends the process if a job failed: what came after it is not done."""

    __slots__ = ("_error", "_jobs", "_over", "_room")

    def __init__(self, confine: Callable[[], None]) -> None:
        """Start the thread; it is confined when this returns. Raises what `confine` raises."""
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._room: SimpleQueue[None] = SimpleQueue()
        for _ in range(_WAITING):
            self._room.put(None)
        self._error: BaseException | None = None
        self._over = _thread.allocate_lock()
        ready = _thread.allocate_lock()
        self._over.acquire()
        ready.acquire()
        _thread.start_new_thread(self._run, (confine, ready))
        ready.acquire()
        self._check()

    def _run(self, confine: Callable[[], None], ready: _thread.LockType) -> None:
        try:
            try:
                confine()
            finally:
                ready.release()
            while (job := self._jobs.get()) is not None:
                job()
                self._room.put(None)
        except BaseException as error:  # noqa: BLE001 - a thread's end: the first thread raises it
            self._error = error
            # Whoever waits for room is woken.
            for _ in range(_WAITING):
                self._room.put(None)
        finally:
            self._over.release()

    def take(self, job: Callable[[], None]) -> None:
        """Have `job` done. Waits while too many wait; raises what an earlier one raised."""
        self._room.get()
        self._check()
        self._jobs.put(job)

    def finish(self) -> None:
        """Wait until all is done. Raises what a job raised."""
        self._jobs.put(None)
        self._over.acquire()
        self._check()

    def _check(self) -> None:
        if self._error is not None:
            raise self._error
