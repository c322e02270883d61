"""What a pull or push tells while it goes on, and how it is called off. No output here: whoever listens writes it."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

_INTERVAL = 0.1
"""Seconds between two numbers about the same layer, as in Docker."""


@dataclass(frozen=True, slots=True)
class PushResult:
    """What a tag is now in the registry."""

    tag: str
    digest: str
    size: int


@dataclass(frozen=True, slots=True)
class Step:
    """One line of progress. `id` is a layer's short digest or a tag; `plain`: a message, which has no numbers to it."""

    status: str
    id: str = ""
    current: int = 0
    total: int = 0
    plain: bool = False
    result: PushResult | None = None


Report = Callable[[Step], None]
"""Hears each step; from any thread, several at once."""


class Cancelled(Exception):
    """Nobody waits for it any more. No fault: it is told to nobody."""


class Cancellation:
    """Calls one operation off. Any thread may call."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._lock = threading.Lock()
        self._wakers: list[Callable[[], None]] = []

    @property
    def asked(self) -> bool:
        """Whether it was called off."""
        return self._event.is_set()

    def cancel(self) -> None:
        """Call it off; waiters wake up."""
        with self._lock:
            self._event.set()
            wakers, self._wakers = self._wakers, []
        for wake in wakers:
            wake()

    def check(self) -> None:
        """Raise Cancelled where it was called off."""
        if self._event.is_set():
            raise Cancelled

    def wakes(self, wake: Callable[[], None]) -> None:
        """Have `wake` called when it is called off, at once where it was already."""
        with self._lock:
            if not self._event.is_set():
                self._wakers.append(wake)
                return
        wake()

    def sleep(self, seconds: float) -> None:
        """Wait. Raises Cancelled as soon as it is called off."""
        if self._event.wait(seconds):
            raise Cancelled


def count_down(report: Report, identifier: str, seconds: int, pause: Callable[[], None]) -> None:
    """Before a layer is tried again: a line for each second, which `pause` waits; it may raise."""
    for left in range(seconds, 0, -1):
        report(Step(f"Retrying in {left} second{'s' if left != 1 else ''}", identifier))
        pause()


class Meter:
    """Numbers about one layer, at most ten a second; the last one always."""

    def __init__(self, report: Report, status: str, identifier: str, total: int) -> None:
        self._report = report
        self._status = status
        self._id = identifier
        self._total = total
        self._next = 0.0
        self._told = -1

    def __call__(self, current: int) -> None:
        """So many bytes of the whole are done."""
        now = time.monotonic()
        if current != self._told and (now >= self._next or current >= self._total):
            self._next, self._told = now + _INTERVAL, current
            self._report(Step(self._status, self._id, current, self._total))


class Metered:
    """A stream whose reading is metered, and ends with Cancelled when it is called off. Read only."""

    def __init__(self, source: BinaryIO, meter: Meter, cancellation: Cancellation) -> None:
        self._source = source
        self._meter = meter
        self._cancellation = cancellation
        self._read = 0

    def read(self, size: int = -1) -> bytes:
        """The next bytes."""
        self._cancellation.check()
        data = self._source.read(size)
        self._read += len(data)
        self._meter(self._read)
        return data
