"""Non-blocking mode: the program never waits; what is dropped is whole lines, counted and told."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from sampan.logs.buffered import BufferedLog
from sampan.logs.jsonfile_writer import JsonFileWriter
from sampan.logs.reader import past
from sampan.logs.reading import Query
from tests.waiting import eventually


class Disk:
    """os.write that waits while it hangs."""

    def __init__(self) -> None:
        self.runs = threading.Event()
        self.runs.set()
        self.waits = threading.Event()
        self._write = os.write

    def write(self, descriptor: int, data: bytes) -> int:
        if not self.runs.is_set():
            self.waits.set()
            assert self.runs.wait(30)
        return self._write(descriptor, data)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    disk = Disk()
    monkeypatch.setattr("os.write", disk.write)
    yield disk
    disk.runs.set()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "x-json.log"


def lines(log: Path) -> list[bytes]:
    return [entry.line for batch in past(str(log), Query()) for entry in batch]


def hung(log: Path, disk: Disk, size: int) -> BufferedLog:
    """A log whose thread is stuck in the write of a first line."""
    buffered = BufferedLog(JsonFileWriter(str(log)), size)
    disk.runs.clear()
    buffered.feed(1, b"first\n")
    assert disk.waits.wait(20)
    return buffered


def test_everything_is_written_in_order(log: Path) -> None:
    buffered = BufferedLog(JsonFileWriter(str(log)), 1_000_000)
    for number in range(2000):
        buffered.feed(1, b"%d\n" % number)
    buffered.close()
    assert lines(log) == [b"%d\n" % number for number in range(2000)]


def test_a_disk_that_hangs_drops_counts_and_says_so_once(log: Path, disk: Disk) -> None:
    buffered = hung(log, disk, 10_000)
    for number in range(5000):
        buffered.feed(1, b"%04d\n" % number)
    disk.runs.set()
    eventually(lambda: len(lines(log)) > 1)
    buffered.feed(1, b"after\n")
    buffered.close()
    found = lines(log)
    said = [line for line in found if line.startswith(b"sampan: ")]
    assert len(said) == 1
    kept = [line for line in found if line[:4].isdigit()]
    assert kept == [b"%04d\n" % number for number in range(len(kept))]
    assert said == [
        b"sampan: %d records of this log were dropped: the buffer of 10000 bytes was full\n" % (5000 - len(kept))
    ]
    assert found[-2:] == [said[0], b"after\n"]
    assert 0 < len(kept) < 2500


def test_what_was_dropped_at_the_end_is_told_at_the_end(log: Path, disk: Disk) -> None:
    buffered = hung(log, disk, 100)
    for number in range(50):
        buffered.feed(2, b"%d\n" % number)
    disk.runs.set()
    buffered.close()
    assert lines(log)[-1].startswith(b"sampan: ")


def test_a_line_that_lost_its_end_ends_and_one_that_lost_its_beginning_goes(log: Path, disk: Disk) -> None:
    buffered = hung(log, disk, 300)
    buffered.feed(1, b"kept beginning of a line")
    buffered.feed(1, b"x" * 400)
    buffered.feed(1, b"y" * 10)
    disk.runs.set()
    eventually(lambda: not buffered._pieces)
    buffered.feed(1, b"z\nwhole\n")
    buffered.close()
    found = [line for line in lines(log) if not line.startswith(b"sampan: 1 records")]
    assert found == [b"first\n", b"kept beginning of a line\n", b"whole\n"]


def test_a_program_that_writes_byte_by_byte_stays_within_the_bound(log: Path, disk: Disk) -> None:
    buffered = hung(log, disk, 20_000)
    for number in range(40_000):
        buffered.feed(1 + number % 2, b"\n")
    assert len(buffered._pieces) < 200
    disk.runs.set()
    buffered.close()


def test_lines_have_the_time_at_which_they_came(log: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    buffered = hung(log, disk, 10_000)
    monkeypatch.setattr("time.time_ns", lambda: 1_000_000_000)
    buffered.feed(1, b"early\n")
    monkeypatch.setattr("time.time_ns", lambda: 5_000_000_000)
    disk.runs.set()
    buffered.close()
    times = {entry.line: entry.time for batch in past(str(log), Query()) for entry in batch}
    assert times[b"early\n"] == b"1970-01-01T00:00:01Z"


def test_the_end_does_not_wait_for_a_dead_disk(log: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sampan.logs.buffered._CLOSE_SECONDS", 0.05)
    buffered = hung(log, disk, 1000)
    buffered.close()


def test_clearing_comes_behind_what_was_written(log: Path) -> None:
    buffered = BufferedLog(JsonFileWriter(str(log)), 1_000_000)
    buffered.feed(1, b"old\n")
    buffered.clear()
    buffered.feed(1, b"new\n")
    buffered.close()
    assert lines(log) == [b"new\n"]
