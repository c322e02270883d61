"""Events: streamed, kept, filtered, bounded."""

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from sampan.daemon import events as module
from sampan.daemon.events import Events, included
from sampan.daemon.matching import Filters
from sampan.spec.events import Actor, Message


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(asyncio.wait_for(coroutine, 5))


async def all_past(events: Events) -> list[str]:
    return [m.action async for m in events.stream(0, events._last_ns, {})]


def test_past_events_survive_a_restart(tmp_path: Path) -> None:
    async def first() -> None:
        events = Events(tmp_path)
        for number in range(module._KEPT + 10):
            events.publish("container", f"a{number}", "id", {"image": "i"})
        assert len(await all_past(events)) == module._KEPT + 10, "the oldest come from the disk"
        events.flush()

    async def second() -> None:
        events = Events(tmp_path)
        events.publish("network", "create", "n", {})
        kept = await all_past(events)
        assert (kept[0], kept[-1]) == ("a0", "create")
        assert len(kept) == module._KEPT + 11

    run(first())
    run(second())


def test_listeners_hear_what_comes_and_end_at_until(tmp_path: Path) -> None:
    async def body() -> None:
        events = Events(tmp_path)
        heard: list[str] = []

        async def listen() -> None:
            async for message in events.stream(None, None, {"type": ("volume",)}):
                heard.append(message.actor.id)
                if len(heard) == 2:
                    return

        task = asyncio.create_task(listen())
        await asyncio.sleep(0)
        assert events.listeners == 1
        for number in range(3):
            events.publish("volume", "create", f"v{number}", {})
            events.publish("image", "tag", "x", {})
        await task
        assert heard == ["v0", "v1"]

    run(body())


def test_a_listener_that_falls_behind_is_let_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_WAITING", 4)

    async def body() -> None:
        events = Events(tmp_path)
        stream = events.stream(None, None, {})
        for number in range(10):
            events.publish("volume", f"a{number}", "v", {})
        assert [message.action async for message in stream] == []
        assert events.listeners == 0

    run(body())


def test_the_files_stay_within_their_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_FILE_LIMIT", 2000)

    async def body() -> None:
        events = Events(tmp_path)
        for _ in range(100):
            events.publish("volume", "create", "v" * 50, {})
            events.flush()
        assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 4000
        assert len(list(tmp_path.iterdir())) == 2

    run(body())


EXEC = Message(
    type="container", action="exec_create: ls -l", actor=Actor(id="c1", attributes={"name": "web", "image": "a/b:1"})
)


@pytest.mark.parametrize(
    ("filters", "result"),
    [
        ({}, True),
        ({"event": ("exec_create",)}, True),
        ({"event": ("exec_create: ls -l",)}, True),
        ({"event": ("exec",)}, False),
        ({"event": ("die", "exec_create")}, True),
        ({"container": ("we",)}, True),
        ({"container": ("c",)}, True),
        ({"container": ("db",)}, False),
        ({"image": ("a/b",)}, True),
        ({"image": ("a/b:1",)}, True),
        ({"image": ("b",)}, False),
        ({"type": ("image",)}, False),
        ({"label": ("name=web",)}, True),
        ({"label": ("x",)}, False),
        ({"scope": ("swarm",)}, False),
        ({"node": ("n",)}, False),
    ],
)
def test_filters(filters: Filters, result: bool) -> None:
    assert included(EXEC, filters) is result
