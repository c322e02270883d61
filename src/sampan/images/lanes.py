"""A bounded number of threads for what waits on a network, in the order in which it was asked for."""

import threading
from collections import deque
from collections.abc import Callable
from contextvars import copy_context
from functools import partial

from sampan.errors import System


class Lanes:
    """At most `limit` calls at once; the others wait. The threads end when nothing waits, and keep no process from ending."""

    def __init__(self, limit: int, name: str) -> None:
        self._limit = limit
        self._name = name
        self._lock = threading.Lock()
        self._waiting: deque[Callable[[], None]] = deque()
        self._running = 0

    def widen(self, limit: int) -> None:
        """Let that many run at once from now on; what runs beyond it ends first."""
        with self._lock:
            self._limit = limit
            # Where no thread can be had, those that wait go on waiting for those that run.
            while self._waiting and self._running < limit and self._begun(self._waiting[0]):
                self._waiting.popleft()

    def submit(self, call: Callable[[], None], waits: Callable[[], None]) -> None:
        """Have `call` run in a thread; it deals with its own errors. `waits` is called first where that is not at once.

        In the caller's context: lines of the log say there, too, which request they are about. Raises System where no thread
        can be had and none runs.
        """
        call = partial(copy_context().run, call)
        with self._lock:
            if self._running < self._limit and self._begun(call):
                return
            if not self._running:
                raise System(f"can't start a thread for a {self._name}")
            waits()
            self._waiting.append(call)

    def _begun(self, call: Callable[[], None]) -> bool:
        """Whether there was a thread for it. Under the lock: until this is known, nobody who runs ends."""
        try:
            threading.Thread(target=self._run, args=(call,), name=self._name, daemon=True).start()
        except RuntimeError:
            return False
        self._running += 1
        return True

    def _run(self, call: Callable[[], None]) -> None:
        while True:
            call()
            with self._lock:
                if not self._waiting or self._running > self._limit:
                    self._running -= 1
                    return
                call = self._waiting.popleft()
