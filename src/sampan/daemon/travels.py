"""Pulls and pushes as the API calls them: each in a thread of its own, its steps as lines of Docker's progress stream.

thread ── steps ──▶ waiting lines: of the same layer's numbers only the latest ──▶ client
   ▲                                                                               │
   └──────────────────────────── called off when nobody reads ◀────────────────────┘
"""

import asyncio
import logging
import threading
from collections.abc import AsyncGenerator, Callable
from contextvars import copy_context

from sampan.errors import SampanError, System
from sampan.images.steps import Cancellation, Cancelled, Report, Step
from sampan.spec import images as i

_log = logging.getLogger("sampan.images")
Work = Callable[[Report, Cancellation], None]
_BAR = 50


class _Waiting:
    """Lines that the client has not taken yet. A slow client costs no more than a line for each layer and kind."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._steps: dict[object, Step] = {}
        self._loop = asyncio.get_running_loop()
        self._more = asyncio.Event()
        self.outcome: BaseException | None = None
        self.over = False

    def put(self, step: Step) -> None:
        """From any thread."""
        key: object = (step.id, step.status) if step.total else object()
        with self._lock:
            first = not self._steps
            # A new number takes the old one's place in the line: what came after it stays behind it.
            self._steps[key] = step
        if first:
            self._wake()

    def end(self, outcome: BaseException | None) -> None:
        """No more comes. From any thread."""
        self.outcome, self.over = outcome, True
        self._wake()

    def _wake(self) -> None:
        try:
            self._loop.call_soon_threadsafe(self._more.set)
        except RuntimeError:
            return  # the loop is closed: the daemon ends, and nobody reads any more

    async def take(self) -> list[Step]:
        """What waits, when something does; empty at the end."""
        while True:
            with self._lock:
                steps, self._steps = list(self._steps.values()), {}
            if steps:
                return steps
            if self.over:
                with self._lock:
                    return list(self._steps.values())
            await self._more.wait()
            self._more.clear()


async def follow(name: str, work: Work) -> AsyncGenerator[i.Progress, None]:
    """Do `work` in a thread; its steps as they come, then its error. Closing the iterator calls it off."""
    waiting, end = _Waiting(), Cancellation()

    def run() -> None:
        try:
            work(waiting.put, end)
        except BaseException as error:  # noqa: BLE001 - a thread's end: whoever follows raises it
            waiting.end(error)
        else:
            waiting.end(None)

    try:
        threading.Thread(target=copy_context().run, args=(run,), name=name, daemon=True).start()
    except RuntimeError as error:
        raise System(f"{name} cannot begin: {error}") from error
    try:
        while steps := await waiting.take():
            for step in steps:
                yield line_of(step)
        if isinstance(waiting.outcome, SampanError):
            raise waiting.outcome
        if waiting.outcome is not None and not isinstance(waiting.outcome, Cancelled):
            _log.error("%s failed", name, exc_info=waiting.outcome)
            raise System(f"{name} failed: {waiting.outcome}") from waiting.outcome
    finally:
        end.cancel()


def line_of(step: Step) -> i.Progress:
    """The step as a line of Docker's stream of progress."""
    if step.result is not None:
        result = i.PushResult(tag=step.result.tag, digest=step.result.digest, size=step.result.size)
        return i.Progress(progress_detail=i.ProgressDetail(), aux=result)
    if step.plain:
        return i.Progress(status=step.status, id=step.id)
    detail = i.ProgressDetail(current=step.current, total=step.total)
    return i.Progress(status=step.status, progress_detail=detail, progress=bar(step.current, step.total), id=step.id)


def bar(current: int, total: int) -> str:
    """`[==>    ]  1.2MB/5MB`, which clients draw as it comes that cannot draw it themselves; "" where there is nothing to draw."""
    if not total:
        return ""
    done = min(_BAR, int(current / total * 100) // 2)
    return f"[{'=' * done}>{' ' * (_BAR - done)}] {_size(current):>8}/{_size(total)}"


def _size(number: float) -> str:
    """In powers of 1000 with four digits, as Go's units.HumanSize."""
    for unit in ("B", "kB", "MB", "GB"):
        if number < 1000:
            return f"{number:.4g}{unit}"
        number /= 1000
    return f"{number:.4g}TB"
