"""Events: streamed, kept, filtered, bounded."""

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from sampan.daemon import event_files
from sampan.daemon import events as module
from sampan.daemon.event_filters import included
from sampan.daemon.events import Events
from sampan.daemon.matching import Filters
from sampan.spec.events import Actor, Message


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(asyncio.wait_for(coroutine, 20))


async def all_past(events: Events) -> list[str]:
    return [m.action async for m in events.stream(0, events._last_ns, {})]


def test_past_events_survive_a_restart(tmp_path: Path) -> None:
    async def first() -> None:
        events = Events(tmp_path)
        for number in range(module._KEPT + 10):
            events.publish("container", f"a{number}", "id", {"image": "i"})
        assert len(await all_past(events)) == module._KEPT + 10, "the oldest come from the disk"
        events.close()

    async def second() -> None:
        events = Events(tmp_path)
        events.publish("network", "create", "n", {})
        kept = await all_past(events)
        assert (kept[0], kept[-1]) == ("a0", "create")
        assert len(kept) == module._KEPT + 11
        events.close()

    run(first())
    run(second())


def test_an_event_is_written_a_moment_later_without_being_asked(tmp_path: Path) -> None:
    async def body() -> None:
        events = Events(tmp_path)
        events.publish("volume", "create", "v", {})
        written = tmp_path / "events.jsonl"
        for _ in range(1000):
            await asyncio.sleep(0.01)
            if written.exists() and written.stat().st_size:
                break
        assert b'"create"' in written.read_bytes()
        events.close()

    run(body())


def test_a_line_that_a_death_cut_short_spoils_no_other(tmp_path: Path) -> None:
    async def body() -> None:
        events = Events(tmp_path)
        events.publish("volume", "first", "v", {})
        events.close()
        with (tmp_path / "events.jsonl").open("ab") as file:
            file.write(b'{"Type":"volu')
        events = Events(tmp_path)
        events.publish("volume", "second", "v", {})
        assert await all_past(events) == ["first", "second"]
        events.close()

    run(body())


def test_a_disk_that_takes_nothing_loses_what_is_kept_and_no_stream(tmp_path: Path) -> None:
    async def body() -> None:
        events = Events(tmp_path / "nosuch")
        stream = events.stream(None, None, {})
        events.publish("volume", "create", "v", {})
        assert (await anext(stream)).action == "create"
        assert await all_past(events) == []
        events.close()

    run(body())


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
        events.close()

    run(body())


def test_until_alone_tells_everything_before_it(tmp_path: Path) -> None:
    async def body() -> None:
        events = Events(tmp_path)
        for number in range(3):
            events.publish("volume", f"a{number}", "v", {})
        until = events._last_ns
        events.publish("volume", "later", "v", {})
        assert [message.action async for message in events.stream(None, until, {})] == ["a0", "a1", "a2"]
        events.close()

    run(body())


def test_past_and_present_neither_repeat_nor_miss_one(tmp_path: Path) -> None:
    async def body() -> None:
        events = Events(tmp_path)
        for number in range(module._KEPT + 5):
            events.publish("volume", str(number), "v", {})
        stream = events.stream(0, None, {})
        heard = []
        async for message in stream:
            heard.append(int(message.action))
            if len(heard) in (1, module._KEPT + 5):
                # Before the disk was read, and after what it had.
                events.publish("volume", str(module._KEPT + 5 + (len(heard) > 1)), "v", {})
            if len(heard) == module._KEPT + 7:
                break
        assert heard == list(range(module._KEPT + 7))
        events.close()

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
        events.close()

    run(body())


def test_the_files_stay_within_their_bound_and_a_stream_outlives_their_turns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_files, "FILE_LIMIT", 2000)

    async def body() -> None:
        events = Events(tmp_path)
        stream = events.stream(None, None, {})
        for number in range(100):
            events.publish("volume", str(number), "v" * 50, {})
            events.flush()
        assert [(await anext(stream)).action for _ in range(100)] == [str(number) for number in range(100)]
        monkeypatch.setattr(events, "_recent", [])
        kept = [int(action) for action in await all_past(events)]
        assert kept == list(range(kept[0], 100)), "the oldest have gone, and none between"
        assert 0 < kept[0] < 99
        events.close()
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
        ({"service": ("we",)}, True),
        ({"nosuch": ("n",)}, True),
    ],
)
def test_filters(filters: Filters, result: bool) -> None:
    assert included(EXEC, filters) is result
