"""Signals as bytes in a pipe, so that the pump can poll for them; handlers are put back at the end.

`import signal` brings `enum` and costs 5 ms; the C module under it is all that is needed.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from types import TracebackType
    from typing import Self
else:
    import _signal

_NAMES = (
    "SIGHUP", "SIGINT", "SIGQUIT", "SIGABRT", "SIGUSR1", "SIGUSR2", "SIGALRM", "SIGTERM", "SIGCONT", "SIGTSTP", "SIGXCPU",
    "SIGVTALRM", "SIGPROF", "SIGIO", "SIGPWR",
)  # fmt: skip
FORWARDED = {int(getattr(_signal, name)): name for name in _NAMES if hasattr(_signal, name)}
SIGWINCH = int(_signal.SIGWINCH)


class SignalPipe:
    """While inside the `with`, the chosen signals write their number to `descriptor` and do nothing else."""

    def __init__(self, forward: bool, resize: bool) -> None:
        self._numbers = (list(FORWARDED) if forward else []) + ([SIGWINCH] if resize else [])
        self._before: list[tuple[int, _signal._HANDLER]] = []
        self._old_wakeup = -1
        self.descriptor, self._writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)

    def __enter__(self) -> Self:
        self._old_wakeup = _signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        for number in self._numbers:
            self._before.append((number, _signal.signal(number, _ignore)))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before:
            _signal.signal(number, handler if handler is not None else _signal.SIG_DFL)
        _signal.set_wakeup_fd(self._old_wakeup)
        os.close(self.descriptor)
        os.close(self._writer)

    def arrived(self) -> list[int]:
        """The numbers that came since the last call, in order."""
        try:
            return [number for number in os.read(self.descriptor, 512) if number in self._numbers]
        except BlockingIOError:
            return []


def _ignore(number: int, frame: object) -> None:
    """The wake-up descriptor has the number already."""
