"""How many slots are parked: one of a kind at rest, more while starts follow one another."""

import asyncio
from collections.abc import Callable

from sampan.runtime.messages import Kind
from sampan.runtime.pool import SlotKind
from tests.kernel.runtime.conftest import Bench
from tests.requires import requires

needs = requires("root", "overlay", "netns", "busybox")


def parked(bench: Bench) -> int:
    return len(bench.runtime._pool._ready[SlotKind(False)])


async def until(bench: Bench, count: int, *, asking: bool) -> None:
    """Wait for so many slots; with `asking` as if starts followed one another meanwhile."""
    loop, pool = asyncio.get_running_loop(), bench.runtime._pool
    for _ in range(400):
        if parked(bench) == count:
            return
        if asking:
            pool._asked[SlotKind(False)] = (loop.time() - 0.1, loop.time())
            pool.refill_later(0)
        await asyncio.sleep(0.025)
    raise AssertionError(f"{parked(bench)} slots after ten seconds, not {count}")


async def comes_about(met: Callable[[], bool]) -> None:
    """Wait until `met` while the loop goes on."""
    for _ in range(1000):
        if met():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not come about in ten seconds")


@needs
def test_a_second_slot_comes_with_starts_and_goes_with_their_end(bench: Bench) -> None:
    async def body(bench: Bench) -> None:
        bench.runtime.open_pool(bench.plan_slot)
        await until(bench, 1, asking=False)
        await asyncio.sleep(0.2)
        assert parked(bench) == 1
        await until(bench, 2, asking=True)
        await until(bench, 1, asking=False)

    bench.run(body, slots=2)


@needs
def test_a_second_slot_that_is_ready_too_late_goes_at_once(bench: Bench) -> None:
    async def body(bench: Bench) -> None:
        bench.runtime.open_pool(bench.plan_slot)
        await until(bench, 1, asking=False)
        pool = bench.runtime._pool
        fork = pool._fork

        async def slow(kind: Kind, body: object, descriptors: list[int]) -> int:
            # On a busy machine it takes longer than the starts go on that wanted it.
            await asyncio.sleep(1)
            return await fork(kind, body, descriptors)

        pool._fork = slow
        now = asyncio.get_running_loop().time()
        pool._asked[SlotKind(False)] = (now - 0.1, now)
        pool.refill_later(0)
        await comes_about(lambda: bool(pool._making))
        await asyncio.wait(pool._making)
        await until(bench, 1, asking=False)

    bench.run(body, slots=2)


@needs
def test_one_that_was_reserved_for_nothing_is_followed_by_another_at_once(bench: Bench) -> None:
    async def body(bench: Bench) -> None:
        bench.runtime.open_pool(bench.plan_slot)
        await until(bench, 1, asking=False)
        pool = bench.runtime._pool
        assert pool.reserve(SlotKind(False)) is not None
        assert parked(bench) == 0
        await comes_about(lambda: not pool._reserved and not pool._leaving)
        # A slot that somebody killed is looked after later, in five seconds.
        assert pool._refill_due is None or pool._refill_due.when() - asyncio.get_running_loop().time() < 1
        await until(bench, 1, asking=False)

    bench.run(body, slots=1)
