"""One log on its way: retries with growing pauses, what is kept, what is given up, and the end of a run."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from sampan.logs.local_writer import LocalWriter
from sampan.logs.shipping import shipment
from sampan.logs.shipping.jobs import (
    Facts,
    Job,
    Position,
    job_file,
    read_jobs,
    read_position,
    unfinished,
    write_job,
    write_position,
)
from sampan.logs.shipping.shipment import Shipment
from sampan.logs.shipping.source import Record
from sampan.logs.shipping.transports import Undelivered


class Collector:
    """A sender that fails as often as it is told to, after so many records."""

    def __init__(self) -> None:
        self.taken: list[bytes] = []
        self.failures = 0
        self.before_failing = 0
        self.closed = False

    async def send(self, records: list[Record]) -> None:
        if self.failures:
            self.failures -= 1
            self.taken += [record.text for record in records[: self.before_failing]]
            raise Undelivered(ConnectionRefusedError("refused"), self.before_failing)
        self.taken += [record.text for record in records]

    async def close(self) -> None:
        self.closed = True


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Collector:
    collector = Collector()
    monkeypatch.setattr(shipment, "sender_of", lambda job, *_: collector)
    monkeypatch.setattr(shipment, "_FIRST_WAIT", 0.001)
    monkeypatch.setattr(shipment, "_LONGEST_WAIT", 0.002)
    return collector


def job(log: Path, options: dict[str, str] | None = None, *, running: bool = False, run: int = 1) -> Job:
    facts = Facts("c" * 64, "web", "", "", "", "", "tag", "host")
    return Job("fluentd", options or {}, str(log), facts, run, running)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "container-cached.log"


def write(log: Path, *lines: bytes) -> None:
    writer = LocalWriter(str(log))
    writer.feed(1, b"".join(line + b"\n" for line in lines))
    writer.close()


def ship(wanted: Job, meanwhile: Callable[[Shipment], None] | None = None) -> list[str]:
    """Ship to the end of the run; what was told."""
    told: list[str] = []

    async def whole() -> None:
        one = Shipment(wanted, told.append)
        task = asyncio.create_task(one.run())
        if meanwhile is not None:
            await asyncio.sleep(0.01)
            meanwhile(one)
        async with asyncio.timeout(30):
            await task

    asyncio.run(whole())
    return told


def test_everything_is_sent_and_the_run_is_finished(log: Path, collector: Collector) -> None:
    write(log, b"a", b"b")
    assert ship(job(log, run=7)) == []
    assert collector.taken == [b"a", b"b"]
    assert collector.closed
    position = read_position(job(log).position)
    assert (position.record, position.finished) == (2, 7)
    write(log, b"c")
    ship(job(log, run=8))
    assert collector.taken == [b"a", b"b", b"c"], "the next run goes on behind"


def test_what_did_not_arrive_is_sent_again_and_that_is_told_once(log: Path, collector: Collector) -> None:
    write(log, b"a", b"b", b"c")
    collector.failures, collector.before_failing = 3, 1
    told = ship(job(log))
    assert collector.taken == [b"a", b"b", b"c"]
    assert told == [
        "cccccccccccc (fluentd): cannot send: refused; trying again",
        "cccccccccccc (fluentd): the collector takes records again",
    ]


def test_after_so_many_retries_a_batch_is_given_up(log: Path, collector: Collector) -> None:
    write(log, b"a", b"b")
    collector.failures = 1000
    told = ship(job(log, {"fluentd-max-retries": "2", "fluentd-retry-wait": "1ms"}))
    assert told[-1] == "cccccccccccc (fluentd): 2 records were given up after 3 attempts"
    assert read_position(job(log).position).record == 2


def test_what_is_lost_is_said_to_both_sides(log: Path, collector: Collector) -> None:
    write(log, b"a", b"b")
    LocalWriter(str(log)).clear()
    write(log, b"c")
    told = ship(job(log))
    text = "2 records of this log were lost before they could be sent: the local log was rotated or cleared"
    assert told == [f"cccccccccccc (fluentd): {text}"]
    assert collector.taken == [f"sampan: {text}".encode(), b"c"]


def test_it_waits_while_the_program_runs(log: Path, collector: Collector) -> None:
    running = job(log, running=True)

    def then_end(one: Shipment) -> None:
        write(log, b"late")
        one.update(msgspec.structs.replace(running, running=False))

    ship(running, then_end)
    assert collector.taken == [b"late"]


def test_jobs_and_positions_are_whole_or_not_there(tmp_path: Path, log: Path) -> None:
    write_job(tmp_path, job(log, running=True))
    assert read_jobs(tmp_path) == {"c" * 64: job(log, running=True)}
    assert list(unfinished(read_jobs(tmp_path))) == ["c" * 64]
    write_job(tmp_path, job(log, run=3))
    write_position(job(log).position, Position(5, 0, 100, finished=3))
    assert list(unfinished(read_jobs(tmp_path))) == []
    job_file(tmp_path, "d" * 64).write_bytes(b'{"driver": "sys')
    assert read_jobs(tmp_path).keys() == {"c" * 64}
    job(log).position.write_bytes(b"{")
    assert read_position(job(log).position) == Position()
