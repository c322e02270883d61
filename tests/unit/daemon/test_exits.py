"""When the monitor's record of an end goes: once the end is on the disk, and while nobody else's stands in its place."""

import asyncio
from concurrent.futures import Future
from types import SimpleNamespace
from typing import cast

import pytest

from sampan.daemon import exits
from sampan.daemon.container import Container
from sampan.daemon.engine import Engine


async def forgotten(starting: bool, alive: bool, started_ns: int) -> list[str]:
    """What is forgotten when the end of run 1 is durable and the container has become as described meanwhile."""
    done: Future[None] = Future()
    found: list[str] = []
    container = SimpleNamespace(id="a", starting=False, state=SimpleNamespace(alive=False, started_ns=1))
    engine = SimpleNamespace(
        record=lambda _: done,
        containers=SimpleNamespace(get=lambda _: container),
        runtime=SimpleNamespace(forget=found.append),
        shutting_down=False,
    )
    exits._record(cast(Engine, engine), cast(Container, container))
    container.starting = starting
    container.state = SimpleNamespace(alive=alive, started_ns=started_ns)
    assert not container.ending.done()
    done.set_result(None)
    await container.ending
    return found


@pytest.mark.parametrize(
    ("starting", "alive", "started_ns", "expected"),
    [
        (False, False, 1, ["a"]),
        (True, False, 1, []),
        (False, True, 2, []),
        # The next run has ended as well, and its own end is not on the disk yet.
        (False, False, 2, []),
    ],
    ids=["nothing since", "the next run starts", "the next run", "the end of the next run"],
)
def test_the_record_of_an_end(starting: bool, alive: bool, started_ns: int, expected: list[str]) -> None:
    assert asyncio.run(forgotten(starting, alive, started_ns)) == expected
