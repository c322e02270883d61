"""Threads that cannot be had: the call fails at once, and is not made later behind its caller's back."""

import asyncio
import threading
from concurrent.futures import Future

import pytest

from sampan.errors import System
from sampan.threads import Threads
from tests.scarcity import no_more_threads

SECONDS = 20


def test_what_was_refused_is_not_done_when_a_thread_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    threads, gate, done = Threads(2), threading.Event(), list[str]()
    first = threads.submit(gate.wait, SECONDS)
    with no_more_threads(monkeypatch), pytest.raises(System, match="can't start new thread"):
        threads.submit(done.append, "refused")
    gate.set()
    assert first.result(SECONDS)
    threads.submit(done.append, "later").result(SECONDS)
    threads.shutdown()
    assert done == ["later"]


def test_results_and_faults_come_through() -> None:
    def fail() -> None:
        raise ValueError("wrong")

    threads = Threads(1)
    assert threads.submit(int, "7").result(SECONDS) == 7
    assert isinstance(threads.submit(fail).exception(SECONDS), ValueError)
    threads.shutdown()


def test_who_waits_hears_of_the_end() -> None:
    threads, gate = Threads(1), threading.Event()
    running = threads.submit(gate.wait, SECONDS)
    waiting: Future[bool] = threads.submit(gate.wait, SECONDS)
    threads.shutdown(wait=False, cancel_futures=True)
    assert waiting.cancelled()
    gate.set()
    assert running.result(SECONDS)


def test_a_loop_takes_them_for_its_own() -> None:
    async def scene() -> int:
        asyncio.get_running_loop().set_default_executor(Threads())
        return await asyncio.to_thread(int, "7")

    assert asyncio.run(scene()) == 7
