"""A pull's steps on their way to the client."""

import asyncio
import threading
from collections.abc import AsyncIterator

import pytest

from sampan.daemon.travels import bar, follow
from sampan.errors import NotFound, System
from sampan.images.steps import Cancellation, Cancelled, PushResult, Report, Step
from sampan.spec.images import Progress, ProgressDetail


async def taken(lines: AsyncIterator[Progress]) -> list[Progress]:
    return [line async for line in lines]


def test_steps_become_lines() -> None:
    def work(report: Report, end: Cancellation) -> None:
        report(Step("Pulling from a", "1", plain=True))
        report(Step("Pulling fs layer", "x"))
        report(Step("Downloading", "x", 5, 10))
        report(Step("", result=PushResult("1", "sha256:1", 7)))

    first, second, third, last = asyncio.run(taken(follow("pull", work)))
    assert first == Progress(status="Pulling from a", id="1")
    assert second == Progress(status="Pulling fs layer", id="x", progress_detail=ProgressDetail())
    assert third.progress_detail == ProgressDetail(current=5, total=10)
    assert last.aux is not None
    assert (last.aux.tag, last.aux.digest, last.aux.size) == ("1", "sha256:1", 7)


def test_a_slow_client_gets_the_latest_number_only() -> None:
    def work(report: Report, end: Cancellation) -> None:
        for current in range(1000):
            report(Step("Downloading", "x", current + 1, 1000))
        report(Step("Download complete", "x"))

    async def slowly() -> list[Progress]:
        lines = follow("pull", work)
        found = [await anext(lines)]
        await asyncio.sleep(0)
        return [*found, *[line async for line in lines]]

    found = asyncio.run(slowly())
    assert len(found) < 1000
    assert found[-1].status == "Download complete"
    assert found[-2].progress_detail == ProgressDetail(current=1000, total=1000)


def test_what_goes_wrong_comes_behind_the_steps() -> None:
    def work(report: Report, end: Cancellation) -> None:
        report(Step("Pulling from a", "1", plain=True))
        raise NotFound("no")

    async def followed() -> Progress:
        lines = follow("pull", work)
        first = await anext(lines)
        with pytest.raises(NotFound, match=r"^no$"):
            await anext(lines)
        return first

    assert asyncio.run(followed()).status == "Pulling from a"


def test_a_bug_is_told_as_the_engine_s_fault() -> None:
    def work(report: Report, end: Cancellation) -> None:
        raise ZeroDivisionError("by zero")

    with pytest.raises(System, match="pull failed: by zero"):
        asyncio.run(taken(follow("pull", work)))


def test_closing_calls_it_off() -> None:
    ended = threading.Event()

    def work(report: Report, end: Cancellation) -> None:
        report(Step("Pulling fs layer", "x"))
        try:
            end.sleep(20)
        except Cancelled:
            ended.set()
            raise

    async def left() -> None:
        lines = follow("pull", work)
        await anext(lines)
        await lines.aclose()

    asyncio.run(left())
    assert ended.wait(5)


@pytest.mark.parametrize(
    ("current", "total", "drawn"),
    [
        (0, 0, ""),
        (1, 3, "[" + "=" * 16 + ">" + " " * 34 + "]       1B/3B"),
        (1_500_000, 3_000_000, "[" + "=" * 25 + ">" + " " * 25 + "]    1.5MB/3MB"),
        (3, 3, "[" + "=" * 50 + ">]       3B/3B"),
    ],
)
def test_bars_for_those_who_cannot_draw(current: int, total: int, drawn: str) -> None:
    assert bar(current, total) == drawn
