"""Waiting for what comes about by itself: polled, bounded, never a plain sleep."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.daemons import EMULATED

_SLOWER = 20 if EMULATED else 1


def eventually(
    met: Callable[[], object], why: str | Callable[[], str] = "it did not come about in time", seconds: float = 60
) -> None:
    """Return as soon as `met` is true; AssertionError with `why`, asked then, when that takes longer than `seconds`."""
    deadline = time.monotonic() + seconds
    while not met():
        assert time.monotonic() < deadline, why() if callable(why) else why
        time.sleep(0.01)


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """What is done within it must take no longer; AssertionError otherwise. An emulated machine has twenty times as long."""
    began = time.monotonic()
    yield
    took = time.monotonic() - began
    assert took < seconds * _SLOWER, f"it took {took:.1f} s, {seconds * _SLOWER:g} are allowed"
