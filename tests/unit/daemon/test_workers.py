"""Walks in worker threads: few at once, and shared by all who ask for the same."""

import asyncio
import threading

import pytest

from sampan.daemon.workers import Workers


def test_walks_are_bounded_and_shared() -> None:
    async def scene() -> tuple[list[int], int, int]:
        workers = Workers()
        running, most, calls = 0, 0, 0
        lock = threading.Lock()
        gate = threading.Event()

        def walk() -> int:
            nonlocal running, most, calls
            with lock:
                running, calls = running + 1, calls + 1
                most = max(most, running)
            gate.wait(10)
            with lock:
                running -= 1
            return 7

        asking = [asyncio.ensure_future(workers.measure("volume", f"v{n % 5}", walk)) for n in range(20)]
        while True:
            await asyncio.sleep(0)
            with lock:
                if running == 2:
                    break
        # Other work finds a thread while both walk.
        assert await workers.run(lambda: "free") == "free"
        gate.set()
        found = await asyncio.gather(*asking)
        workers.close()
        return list(found), most, calls

    found, most, calls = asyncio.run(scene())
    assert (found, most, calls) == ([7] * 20, 2, 5)


def test_a_walk_that_fails_is_walked_again() -> None:
    async def scene() -> int:
        workers = Workers()
        faults = [OSError("gone")]

        def walk() -> int:
            if faults:
                raise faults.pop()
            return 1

        with pytest.raises(OSError, match="gone"):
            await workers.measure("volume", "v", walk)
        found = await workers.measure("volume", "v", walk)
        workers.close()
        return found

    assert asyncio.run(scene()) == 1


def test_whoever_gives_up_does_not_stop_the_others() -> None:
    async def scene() -> int:
        workers = Workers()
        gate = threading.Event()

        def walk() -> int:
            gate.wait(10)
            return 3

        first = asyncio.ensure_future(workers.measure("container", "c", walk))
        second = asyncio.ensure_future(workers.measure("container", "c", walk))
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.sleep(0)
        gate.set()
        found = await second
        workers.close()
        return found

    assert asyncio.run(scene()) == 3
