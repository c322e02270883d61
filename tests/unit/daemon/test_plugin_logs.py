"""How long a plugin is heard that reads a log again."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from sampan.daemon.plugin_logs import while_told
from sampan.drivers.log_entries import Entry

LINE = Entry("stdout", 1, b"x")


async def told(batches: int, *, ends: bool) -> AsyncIterator[list[Entry]]:
    for _ in range(batches):
        yield [LINE]
    if not ends:
        await asyncio.Event().wait()


async def heard(batches: int, *, ends: bool, over_after: float) -> int:
    over = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_later(over_after, over.set_result, None)
    count = 0
    async for batch in while_told(told(batches, ends=ends), over, 0.05):
        count += len(batch)
    return count


def test_to_the_end_that_the_plugin_makes() -> None:
    assert asyncio.run(heard(3, ends=True, over_after=5)) == 3


@pytest.mark.parametrize("over_after", [0.0, 0.1])
def test_silence_counts_once_there_is_nothing_to_wait_for(over_after: float) -> None:
    loop_time = asyncio.run(_silent(over_after))
    assert loop_time >= over_after + 0.04


async def _silent(over_after: float) -> float:
    began = asyncio.get_running_loop().time()
    with pytest.raises(TimeoutError):
        await heard(2, ends=False, over_after=over_after)
    return asyncio.get_running_loop().time() - began
