"""A bounded number of threads for what waits on a network, in the order in which it was asked for."""

import threading
from collections import deque
from collections.abc import Callable
from contextvars import copy_context
from functools import partial


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
            begun = [self._waiting.popleft() for _ in range(min(limit - self._running, len(self._waiting)))]
            self._running += len(begun)
        for call in begun:
            self._begin(call)

    def submit(self, call: Callable[[], None], waits: Callable[[], None]) -> None:
        """Have `call` run in a thread; it deals with its own errors. `waits` is called first where that is not at once.

        In the caller's context: lines of the log say there, too, which request they are about.
        """
        call = partial(copy_context().run, call)
        with self._lock:
            free = self._running < self._limit
            if free:
                self._running += 1
            else:
                waits()
                self._waiting.append(call)
        if free:
            self._begin(call)

    def _begin(self, call: Callable[[], None]) -> None:
        threading.Thread(target=self._run, args=(call,), name=self._name, daemon=True).start()

    def _run(self, call: Callable[[], None]) -> None:
        while True:
            call()
            with self._lock:
                if not self._waiting or self._running > self._limit:
                    self._running -= 1
                    return
                call = self._waiting.popleft()
