import threading
from collections.abc import Callable

import pytest

from sampan.snapshots.second_hand import SecondHand


def nothing() -> None:
    """Needs no confinement here."""


def test_jobs_are_done_in_their_order_by_another_thread() -> None:
    done: list[int] = []
    threads: set[int] = set()
    second = SecondHand(lambda: threads.add(threading.get_ident()))

    def job(number: int) -> Callable[[], None]:
        def act() -> None:
            threads.add(threading.get_ident())
            done.append(number)

        return act

    for number in range(100):
        second.take(job(number))
    second.finish()
    assert done == list(range(100))
    assert len(threads) == 1
    assert threading.get_ident() not in threads


def test_what_a_job_raises_is_raised_in_the_first_thread() -> None:
    done: list[int] = []
    second = SecondHand(nothing)

    def fail() -> None:
        raise OSError(28, "No space left on device")

    second.take(fail)
    with pytest.raises(OSError, match="No space"):
        # More than may wait: whoever waits for room hears of it.
        for number in range(100):
            second.take(lambda number=number: done.append(number))  # type: ignore[misc] # mypy cannot infer it
    with pytest.raises(OSError, match="No space"):
        second.finish()
    assert done == []


def test_no_job_is_taken_without_confinement() -> None:
    def fail() -> None:
        raise OSError(1, "Operation not permitted")

    with pytest.raises(OSError, match="not permitted"):
        SecondHand(fail)
