"""A daemon whose address space may not grow (RLIMIT_AS, lowered while it runs): allocations fail where they happen to fail."""

import http.client
import resource
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests import processes
from tests.daemons import Answer, Sampan

ENDS = (1, -signal.SIGSEGV)
"""How a daemon without memory ends: by itself, or in msgspec, whose decoder writes to what it did not get (0.22)."""
GRACE = 5.0
"""Seconds from a broken connection to the daemon's end."""


@contextmanager
def limited(pid: int, what: int, soft: int) -> Iterator[None]:
    """A soft limit of a running process (prlimit(2)), and the old one again, also for what it has started meanwhile."""
    before = resource.prlimit(pid, what)
    resource.prlimit(pid, what, (soft, before[1]))
    try:
        yield
    finally:
        _relieve(pid, what, soft, before)


def _relieve(pid: int, what: int, soft: int, before: tuple[int, int]) -> None:
    try:
        if resource.prlimit(pid, what)[0] == soft:
            resource.prlimit(pid, what, before)
        started = processes.children(pid)
    except (ProcessLookupError, FileNotFoundError):
        return  # it has ended
    for child in started:
        _relieve(child, what, soft, before)


def address_space(pid: int) -> int:
    """Bytes."""
    with open(f"/proc/{pid}/statm") as file:
        return int(file.read().split()[0]) * resource.getpagesize()


@contextmanager
def squeezed(engine: Sampan, spare: int) -> Iterator[None]:
    """The daemon gets `spare` bytes more and no others; one that has ended meanwhile is followed by another."""
    assert engine.process is not None
    pid = engine.process.pid
    with limited(pid, resource.RLIMIT_AS, address_space(pid) + spare):
        yield
        ended = engine.process.poll()
    if ended is not None:
        assert ended in ENDS, (ended, engine.log_tail())
        engine.process = None
        engine.start()


def asked(engine: Sampan, act: Callable[[], Answer]) -> Answer | None:
    """The answer; None where the daemon ended before it came. A daemon that lives and keeps its client waiting is a fault."""
    assert engine.process is not None
    try:
        return act()
    except (OSError, http.client.HTTPException):
        # Its sockets outlive it, for the next: who connects between the two waits for that.
        try:
            engine.process.wait(GRACE)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the daemon lives and does not answer:\n{engine.log_tail()}") from None
        return None
