"""A thousand containers at once on the default bridge: started, listed, measured, found again by another daemon, removed."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from bench import host
from bench.report import Row
from tests.daemons import Sampan, running_sampan

AT_ONCE = 4
MOST = 1000
"""A bridge has room for 1023."""
SECONDS = 300


@dataclass(frozen=True)
class Fleet:
    """What `number` containers took, in seconds; `each_bytes` of memory for each, its program included."""

    number: int
    started: float
    each_bytes: float
    listed: float
    stats: float
    """of a hundred, once each"""
    execs: float
    """in a hundred"""
    found: float
    """until another daemon answered after the first was killed"""
    removed: float


def measured(number: int) -> Fleet:
    """Start a fleet of its own and take it down again. Raises AssertionError where one container is not as it should be."""
    names = [f"c{each}" for each in range(number)]
    few = names[:: max(1, number // 100)]
    with running_sampan() as engine, ThreadPoolExecutor(AT_ONCE) as pool:
        engine.load_busybox()
        empty = _memory(engine)

        def all_of(act: Callable[[Sampan, str], None], which: list[str]) -> float:
            return _timed(lambda: list(pool.map(lambda name: act(engine, name), which)))

        started = all_of(_start, names)
        each = (_memory(engine) - empty) / number
        listed = _timed(lambda: _list(engine, number))
        stats, execs = all_of(_measure, few), all_of(_execute, few)
        engine.kill()
        found = _timed(engine.start)
        _list(engine, number)
        removed = all_of(_remove, names)
        _list(engine, 0)
    return Fleet(number, started, each, listed, stats, execs, found, removed)


def rows(number: int) -> list[Row]:
    """The figures as lines of the table. Docker is not asked: it would take most of an hour."""
    one = measured(number)
    what = f"{number} containers on the bridge"
    return [
        Row(f"{what}, created and started by {AT_ONCE} clients", f"{one.started:.0f} s"),
        Row(f"{what}, memory of each, its program included", f"{one.each_bytes / 1024**2:.2f} MB"),
        Row(f"{what}, listed", f"{one.listed * 1000:.0f} ms"),
        Row(f"{what}, stats of 100 of them, once each", f"{one.stats:.1f} s"),
        Row(f"{what}, exec in 100 of them", f"{one.execs:.1f} s"),
        Row(f"{what}, found by another daemon", f"{one.found:.0f} s", goal="≤ 30 s", reached=one.found <= 30),
        Row(f"{what}, removed by {AT_ONCE} clients", f"{one.removed:.0f} s"),
    ]


def _timed(act: Callable[[], object]) -> float:
    began = time.monotonic()
    act()
    return time.monotonic() - began


def _memory(engine: Sampan) -> int:
    """Bytes of all of the engine's processes and of the containers' own, shared pages divided."""
    assert engine.process is not None
    return host.pss(host.processes_of(engine.process.pid, str(engine.directory)))


def _start(engine: Sampan, name: str) -> None:
    body = {"Image": "busybox", "Cmd": ["sleep", "100000"]}
    made = engine.api("POST", f"/containers/create?name={name}", body, timeout=SECONDS)
    assert made.status == 201, made
    begun = engine.api("POST", f"/containers/{name}/start", timeout=SECONDS)
    assert begun.status == 204, begun


def _list(engine: Sampan, wanted: int) -> None:
    found = engine.api("GET", "/containers/json", timeout=SECONDS).json()
    assert isinstance(found, list)
    assert len(found) == wanted


def _measure(engine: Sampan, name: str) -> None:
    answer = engine.api("GET", f"/containers/{name}/stats?stream=false&one-shot=true", timeout=SECONDS)
    assert answer.status == 200, answer


def _execute(engine: Sampan, name: str) -> None:
    assert engine.inside(name, "true").code == 0


def _remove(engine: Sampan, name: str) -> None:
    answer = engine.api("DELETE", f"/containers/{name}?force=1", timeout=SECONDS)
    assert answer.status == 204, answer
