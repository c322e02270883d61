"""What is answered while a walk takes long, and what is walked again at all."""

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from types import SimpleNamespace
from typing import Any, cast

import pytest

from sampan.daemon import sizes
from sampan.daemon.engine import Engine
from sampan.daemon.sizes import Sizes
from sampan.daemon.workers import Workers
from sampan.snapshots.protocol import Snapshotter, Usage
from sampan.spec.ids import ContainerId
from sampan.volumes.local import Volumes

ONE = ContainerId("one")


class Walks:
    """Layers and volumes of which every walk is counted, and waits for `going`."""

    def __init__(self) -> None:
        self.count = 0
        self.size_now = 10
        self.going = threading.Event()
        self.going.set()
        self.takes = 0.0

    def size(self, name: str) -> int:
        self.count += 1
        self.going.wait(10)
        time.sleep(self.takes)
        return self.size_now

    def usage(self, key: str) -> Usage:
        return Usage(self.size(key), 1)

    def list(self) -> tuple[()]:
        return ()


def scene(walks: Walks, state: SimpleNamespace) -> tuple[Sizes, Workers]:
    tasks: set[asyncio.Task[None]] = set()

    def spawn(work: Coroutine[Any, Any, None], _: str) -> "asyncio.Task[None]":
        task = asyncio.get_running_loop().create_task(work)
        tasks.add(task)
        return task

    container = SimpleNamespace(state=state, starting=False)
    engine = SimpleNamespace(
        store=SimpleNamespace(table=lambda _: {}, commit=lambda _: None),
        containers=SimpleNamespace(get=lambda _: container),
        transfers=SimpleNamespace(busy=lambda _: False, count=lambda _: 0),
        spawn=spawn,
    )
    workers = Workers()
    made = Sizes(cast(Engine, engine), cast(Volumes, walks), cast(Snapshotter, walks), workers)
    return made, workers


def go(check: Callable[[Sizes, Walks, SimpleNamespace], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        walks, state = Walks(), SimpleNamespace(running=False, started_ns=1, finished_ns=2)
        made, workers = scene(walks, state)
        try:
            await check(made, walks, state)
        finally:
            walks.going.set()
            workers.close()

    asyncio.run(main())


def test_a_stopped_container_is_walked_once_for_each_run() -> None:
    async def check(made: Sizes, walks: Walks, state: SimpleNamespace) -> None:
        for _ in range(3):
            assert await made.container(ONE, made.deadline()) == 10
        assert walks.count == 1
        state.finished_ns = 3
        walks.size_now = 20
        assert await made.container(ONE, made.deadline()) == 20
        assert walks.count == 2

    go(check)


def test_what_is_small_is_exact_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    # However long a busy machine keeps a thread waiting.
    monkeypatch.setattr(sizes, "_BUDGET", 5.0)

    async def check(made: Sizes, walks: Walks, state: SimpleNamespace) -> None:
        state.running = True
        for size in (1, 2, 3):
            walks.size_now = size
            assert await made.container(ONE, made.deadline()) == size
            assert await made.volume("data", made.deadline()) == size

    go(check)


def test_what_is_large_is_told_from_its_last_walk() -> None:
    async def check(made: Sizes, walks: Walks, state: SimpleNamespace) -> None:
        state.running = True
        walks.takes = 2 * sizes._BUDGET
        assert await made.volume("data", made.deadline()) == 10
        walks.size_now, walks.takes = 30, 0.0
        # Walked a moment ago: not again.
        assert await made.volume("data", made.deadline()) == 10
        assert walks.count == 1
        made._known["volume", "data"].at -= 1000
        walks.going.clear()
        began = time.monotonic()
        assert await made.volume("data", made.deadline()) == 10
        assert time.monotonic() - began < 1
        walks.going.set()
        assert await made._walking["volume", "data"] == 30
        assert await made.volume("data", made.deadline()) == 30

    go(check)


def test_all_who_ask_meanwhile_wait_for_one_walk() -> None:
    async def check(made: Sizes, walks: Walks, state: SimpleNamespace) -> None:
        del state
        until = made.deadline()
        assert await asyncio.gather(*(made.volume("data", until) for _ in range(5))) == [10] * 5
        assert walks.count == 1

    go(check)
