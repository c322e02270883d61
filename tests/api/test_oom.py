"""Kills for lack of memory: told as they happen, while the container goes on, and once each."""

import json
import time
from collections.abc import Iterator

import pytest

from tests.api.scenes import Box
from tests.daemons import Sampan, running_sampan
from tests.requires import requires
from tests.waiting import eventually

pytestmark = requires("root", "overlay", "busybox", "docker-client", "cgroup:memory")

MB = 1 << 20
TIGHT = {"NetworkMode": "none", "Memory": 16 * MB, "MemorySwap": 16 * MB}
EAT = "dd if=/dev/zero of=/dev/null bs=64M count=1"
"""Needs a buffer of 64 MB, and is killed for it."""


@pytest.fixture(autouse=True)
def _containers_go(engine: Sampan) -> Iterator[None]:
    yield
    engine.remove_containers()


def told(engine: Sampan, box: Box) -> list[str]:
    until = ("--since", "1", "--until", str(int(time.time()) + 1))
    lines = engine.docker(
        "events", *until, "--format", "{{.Action}}", "-f", f"container={box.id}", "-f", "type=container"
    )
    assert lines.code == 0, lines
    return [action for action in lines.text.split("\n") if action in ("oom", "die", "start")]


def eats_on_demand(engine: Sampan, name: str) -> Box:
    """Each line of its input makes a child of it ask for too much; it lives on."""
    program = f"while read x; do {EAT} 2>/dev/null; echo $?; done"
    return Box(engine, "sh", "-c", program, name=name, host=TIGHT, OpenStdin=True).start()


def test_a_child_that_is_killed_is_told_at_once(engine: Sampan) -> None:
    box = eats_on_demand(engine, "hungry")
    assert box.state()["OOMKilled"] is False
    stream = box.attach()
    stream.say(b"1\n")
    eventually(lambda: told(engine, box) == ["start", "oom"], "nothing is told")
    assert (box.state()["Status"], box.state()["OOMKilled"]) == ("running", True)
    stream.say(b"2\n")
    eventually(lambda: told(engine, box) == ["start", "oom", "oom"], "the second is not told")
    assert engine.docker("kill", "hungry").code == 0
    assert told(engine, box) == ["start", "oom", "oom", "die"]
    assert box.state()["OOMKilled"] is True
    box.start()
    assert box.state()["OOMKilled"] is False


def test_the_program_itself_is_told_once(engine: Sampan) -> None:
    for program in (f"sleep 0.6; exec {EAT}", f"exec {EAT}"):
        box = Box(engine, "sh", "-c", program, host=TIGHT).start()
        box.ended(137)
        assert box.state()["OOMKilled"] is True
        assert told(engine, box) == ["start", "oom", "die"]


def test_what_an_earlier_daemon_told_is_not_told_again() -> None:
    with running_sampan() as sampan:
        sampan.load_busybox()
        box, other = eats_on_demand(sampan, "first"), eats_on_demand(sampan, "second")
        streams = box.attach(), other.attach()
        streams[0].say(b"1\n")
        # In memory at once, on disk a moment later; the state's record is as old as the event.
        kept = sampan.data_root / "events.jsonl"
        eventually(lambda: '"Action":"oom"' in kept.read_text(), "nothing is told")
        sampan.kill()
        streams[1].say(b"1\n")
        streams[1].expect(b"137")
        sampan.start()
        eventually(lambda: told(sampan, other) == ["start", "oom"], "what happened in between is not told")
        assert other.state()["OOMKilled"] is True
        streams[0].say(b"2\n")
        eventually(lambda: told(sampan, box) == ["start", "oom", "oom"], "the next one is not told")
        assert json.loads(sampan.api("GET", "/containers/json").body)
