"""Ids of requests: the client's where it is fit to stand in logs and heads, else one of ours, and how far one reaches."""

import asyncio

import pytest

from sampan.daemon.workers import Workers
from sampan.telemetry import request_id


@pytest.mark.parametrize("given", [b"a", b"4bf92f3577b34da6a3ce929d0e0e4736", b"job.7:step-2_b", b"x" * 64])
def test_a_fit_one_is_taken(given: bytes) -> None:
    assert request_id.begin(given) == given.decode() == request_id.current()


@pytest.mark.parametrize(
    "given", [None, b"", b"x" * 65, b"a b", b"a\r\nSet-Cookie: x", b"-a", b"\xc3\xa4", b'a"', b"a\n"]
)
def test_another_is_replaced(given: bytes | None) -> None:
    first, second = request_id.begin(given), request_id.begin(given)
    assert first != second
    assert all(one.isascii() and 9 < len(one) < 26 for one in (first, second))


def test_it_reaches_tasks_and_threads_and_no_neighbour() -> None:
    async def scene() -> list[str]:
        workers = Workers()

        async def answer(given: bytes) -> list[str]:
            request_id.begin(given)
            await asyncio.sleep(0)
            later = asyncio.get_running_loop().create_task(asyncio.sleep(0, request_id.current()))
            return [request_id.current(), await workers.run(request_id.current), await later]

        found = await asyncio.gather(*(asyncio.create_task(answer(given)) for given in (b"one", b"two")))
        workers.close()
        return [*found[0], *found[1], request_id.current()]

    before = request_id.current()
    assert asyncio.run(scene()) == ["one"] * 3 + ["two"] * 3 + [before]
