"""Lanes: how many run at once, and what a changed number does to those that wait and those that run."""

import threading

import pytest

from sampan.errors import System
from sampan.images.lanes import Lanes
from tests.scarcity import no_more_threads

SECONDS = 30


class Work:
    """Calls that begin when they are let, and end when they are told."""

    def __init__(self) -> None:
        self.begun = threading.Semaphore(0)
        self.go_on = threading.Semaphore(0)
        self.ended = threading.Semaphore(0)
        self.waiting = 0

    def call(self) -> None:
        self.begun.release()
        assert self.go_on.acquire(timeout=SECONDS)
        self.ended.release()

    def wait(self) -> None:
        self.waiting += 1

    def begin(self, count: int) -> None:
        """That many begin, and no more."""
        for _ in range(count):
            assert self.begun.acquire(timeout=SECONDS)
        assert not self.begun.acquire(timeout=0.05)


@pytest.mark.parametrize(("first", "then", "at_once", "more"), [(1, 3, 1, 2), (2, 2, 2, 0), (1, 9, 1, 4)])
def test_more_lanes_are_used_at_once(first: int, then: int, at_once: int, more: int) -> None:
    work, lanes = Work(), Lanes(first, "test")
    for _ in range(5):
        lanes.submit(work.call, work.wait)
    work.begin(at_once)
    assert work.waiting == 5 - at_once
    lanes.widen(then)
    work.begin(more)
    for _ in range(5):
        work.go_on.release()
    for _ in range(5):
        assert work.ended.acquire(timeout=SECONDS)


def test_fewer_lanes_let_what_runs_end_first() -> None:
    work, lanes = Work(), Lanes(3, "test")
    for _ in range(5):
        lanes.submit(work.call, work.wait)
    work.begin(3)
    lanes.widen(1)
    work.go_on.release()
    assert work.ended.acquire(timeout=SECONDS)
    work.begin(0)
    for _ in range(4):
        work.go_on.release()
    for _ in range(4):
        assert work.ended.acquire(timeout=SECONDS)


def test_without_threads_a_call_waits_for_one_that_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    work, lanes = Work(), Lanes(2, "test")
    lanes.submit(work.call, work.wait)
    work.begin(1)
    with no_more_threads(monkeypatch):
        lanes.submit(work.call, work.wait)
        lanes.widen(3)
    assert work.waiting == 1
    work.go_on.release(2)
    work.begin(1)
    for _ in range(2):
        assert work.ended.acquire(timeout=SECONDS)


def test_without_threads_and_with_nobody_at_work_a_call_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    work, lanes = Work(), Lanes(1, "test")
    with no_more_threads(monkeypatch), pytest.raises(System, match="can't start a thread for a test"):
        lanes.submit(work.call, work.wait)
    # And nothing is taken up by it.
    lanes.submit(work.call, work.wait)
    work.begin(1)
    work.go_on.release()
    assert work.ended.acquire(timeout=SECONDS)
