"""Parked monitors of execs: forked and warmed up ahead of time, of no container until one is claimed."""

import asyncio
import logging

from sampan.runtime.messages import Kind
from sampan.runtime.monitored import Monitored
from sampan.runtime.parking import Fork, park
from sampan.runtime.start_failure import StartFailed
from sampan.spec.ids import ContainerId

_log = logging.getLogger("sampan.runtime")
_REFILL_DELAY = 0.003
_RETRY_DELAY = 5.0
_CLOSE_SECONDS = 0.6
_NOBODY = ContainerId("")


class ExecPool:
    """Keeps one monitor ready. Everything runs on the daemon's event loop."""

    def __init__(self, fork: Fork) -> None:
        self._fork = fork
        self._ready: Monitored | None = None
        self._making: asyncio.Task[None] | None = None
        self._due: asyncio.TimerHandle | None = None
        self._closed = False

    def refill(self, seconds: float = _REFILL_DELAY) -> None:
        """Have one parked where none is, a moment later: the program that was just started has the processors first."""
        if self._due is None and not self._closed:
            self._due = asyncio.get_running_loop().call_later(seconds, self._make_ready)

    def _make_ready(self) -> None:
        self._due = None
        if self._ready is None and self._making is None and not self._closed:
            self._making = asyncio.get_running_loop().create_task(self._park())

    def take(self) -> Monitored | None:
        """The parked monitor, now the caller's; None where none is ready. `refill` is to follow when there is time."""
        taken, self._ready = self._ready, None
        return taken

    async def close(self) -> None:
        """Give up what is parked, and wait a moment for its end."""
        self._closed = True
        if self._due is not None:
            self._due.cancel()
        if self._making is not None:
            await asyncio.wait([self._making], timeout=_CLOSE_SECONDS)
        if (parked := self.take()) is not None:
            parked.hang_up()
            await parked.wait_gone(_CLOSE_SECONDS)
            parked.let_go()

    async def _park(self) -> None:
        monitored = Monitored("", _NOBODY, "", {})
        try:
            await park(self._fork, Kind.PARK_EXEC, {}, monitored, self._gone)
        except StartFailed as failure:
            _log.warning("a monitor for execs could not be made ready: %s", failure.message)
            self.refill(_RETRY_DELAY)
            return
        finally:
            self._making = None
        if self._closed or monitored.gone:
            monitored.let_go()
        else:
            self._ready = monitored

    def _gone(self, monitored: Monitored) -> None:
        """It was killed while it waited."""
        monitored.let_go()
        if self._ready is monitored:
            self._ready = None
        self.refill(_RETRY_DELAY)
