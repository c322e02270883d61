"""A thousand containers at once on the default bridge: started, listed, measured, found again by another daemon, removed.

NUMBER sets how many (1000; a bridge has room for 1023). The figures are printed (-s) as they come.
"""

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from bench import host
from tests.daemons import Sampan, running_sampan
from tests.requires import requires

pytestmark = requires("root", "overlay", "netns", "veth", "bridge", "busybox")

NUMBER = int(os.environ.get("NUMBER", "1000"))
AT_ONCE = 4
SECONDS = 300


def timed(what: str, act: Callable[[], object]) -> float:
    began = time.monotonic()
    act()
    took = time.monotonic() - began
    print(f"{what}: {took:.2f} s")
    return took


def test_a_thousand_containers_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    # The daemon itself, and not one whose answers are written down.
    monkeypatch.setattr(Sampan, "answers", None)
    names = [f"c{number}" for number in range(NUMBER)]
    with running_sampan() as engine, ThreadPoolExecutor(AT_ONCE) as pool:
        engine.load_busybox()
        assert engine.process is not None
        empty = memory(engine)
        timed(f"{NUMBER} created and started", lambda: list(pool.map(lambda name: start(engine, name), names)))
        print(f"memory of the engine for each container: {(memory(engine) - empty) / NUMBER / 1024:.0f} KB")
        timed("listed", lambda: listed(engine, NUMBER))
        timed("stats of 100, once each", lambda: list(pool.map(lambda name: measured(engine, name), names[:100])))
        timed("exec in 100", lambda: list(pool.map(lambda name: executed(engine, name), names[::10])))
        engine.kill()
        took = timed("another daemon has found all of them", engine.start)
        assert took < 30
        listed(engine, NUMBER)
        timed("removed", lambda: list(pool.map(lambda name: removed(engine, name), names)))
        listed(engine, 0)


def memory(engine: Sampan) -> int:
    """Bytes of all of the engine's processes and of the containers' own, shared pages divided."""
    assert engine.process is not None
    return host.pss(host.processes_of(engine.process.pid, str(engine.directory)))


def start(engine: Sampan, name: str) -> None:
    made = engine.api(
        "POST", f"/containers/create?name={name}", {"Image": "busybox", "Cmd": ["sleep", "100000"]}, timeout=SECONDS
    )
    assert made.status == 201, made
    begun = engine.api("POST", f"/containers/{name}/start", timeout=SECONDS)
    assert begun.status == 204, begun


def listed(engine: Sampan, wanted: int) -> None:
    found = engine.api("GET", "/containers/json", timeout=SECONDS).json()
    assert isinstance(found, list)
    assert len(found) == wanted


def measured(engine: Sampan, name: str) -> None:
    answer = engine.api("GET", f"/containers/{name}/stats?stream=false&one-shot=true", timeout=SECONDS)
    assert answer.status == 200, answer


def executed(engine: Sampan, name: str) -> None:
    assert engine.inside(name, "true").code == 0


def removed(engine: Sampan, name: str) -> None:
    answer = engine.api("DELETE", f"/containers/{name}?force=1", timeout=SECONDS)
    assert answer.status == 204, answer
