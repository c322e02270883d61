"""How many slots are parked: one of a kind at rest, more while starts follow one another."""

import asyncio

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
