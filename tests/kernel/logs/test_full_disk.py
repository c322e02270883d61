"""A log on a disk that is full: nothing breaks, and the log says what it lacks."""

import json
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sampan.logs.buffered import BufferedLog
from sampan.logs.jsonfile_writer import JsonFileWriter
from sampan.logs.local_writer import LocalWriter
from tests.requires import requires

pytestmark = requires("root", "mountns")

PAGES = 64 * 1024


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system with room for 64 KiB."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={PAGES}", "sampan-test", str(tmp_path)], check=True)
    try:
        yield tmp_path
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def texts(log: Path) -> list[str]:
    return [json.loads(record)["log"] for record in log.read_bytes().splitlines()]


def test_a_full_disk_is_survived_and_told(disk: Path) -> None:
    log = disk / "x-json.log"
    other = disk / "other"
    other.write_bytes(b"x" * (PAGES // 2))
    writer = JsonFileWriter(str(log))
    for number in range(100):
        writer.feed(1, b"".join(b"%d\n" % line for line in range(number * 100, number * 100 + 100)))
    kept = texts(log)
    assert kept == [f"{line}\n" for line in range(len(kept))]
    assert 300 < len(kept) < 500
    assert writer.dropped == 10_000 - len(kept)
    other.unlink()
    writer.feed(1, b"after\n")
    writer.close()
    lost = 10_000 - len(kept)
    told = f"sampan: {lost} records of this log were dropped: No space left on device\n"
    assert texts(log)[len(kept) :] == [told, "after\n"]


def test_rotation_on_a_full_disk_keeps_what_fits(disk: Path) -> None:
    log = disk / "x-json.log"
    writer = JsonFileWriter(str(log), max_size=30_000, max_files=5)
    for line in range(5000):
        writer.feed(1, b"%d\n" % line)
    writer.close()
    kept = [text for name in ("x-json.log.2", "x-json.log.1", "x-json.log") for text in texts(disk / name)]
    assert kept == [f"{line}\n" for line in range(len(kept))]
    assert len(kept) + writer.dropped == 5000


@pytest.mark.parametrize("driver", [JsonFileWriter, LocalWriter])
def test_in_non_blocking_mode_the_disk_may_fill_too(disk: Path, driver: type[JsonFileWriter | LocalWriter]) -> None:
    log = disk / "x-json.log"
    other = disk / "other"
    other.write_bytes(b"x" * (PAGES // 2))
    writer = driver(str(log))
    buffered = BufferedLog(writer, 1_000_000)
    for number in range(100):
        buffered.feed(1, b"".join(b"%d\n" % line for line in range(number * 100, number * 100 + 100)))
    deadline = time.monotonic() + 30
    while buffered._pieces or not writer.dropped:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    other.unlink()
    buffered.feed(1, b"after\n")
    buffered.close()
    kept = log.read_bytes()
    told = re.findall(rb"sampan: (\d+) records of this log were dropped: No space left on device", kept)
    assert len(told) == 1
    numbered = 1 if driver is LocalWriter else 0
    assert kept.count(b"\n") - numbered + int(told[0]) == 10_000 + 2
