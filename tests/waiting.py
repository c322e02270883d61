"""Waiting for what comes about by itself: polled, bounded, never a plain sleep."""

import time
from collections.abc import Callable


def eventually(met: Callable[[], object], why: str = "it did not come about in time", seconds: float = 60) -> None:
    """Return as soon as `met` is true; AssertionError with `why` when that takes longer than `seconds`."""
    deadline = time.monotonic() + seconds
    while not met():
        assert time.monotonic() < deadline, why
        time.sleep(0.01)
