"""The local log: compact records, bytes as they came, numbered files."""

import os
import random
from pathlib import Path

import pytest

from sampan.logs.line_writer import PIECE
from sampan.logs.local_writer import LocalWriter
from sampan.logs.log_file import first_number
from sampan.logs.reader import past
from sampan.logs.reading import Query
from sampan.logs.records import Entry

NOON = 1_795_521_600_123_456_789  # 2026-11-24T12:00:00.123456789Z
SHOWN = b"2026-11-24T12:00:00.123456789Z"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "local-logs" / "container.log"


def read(log: Path) -> list[Entry]:
    return [entry for batch in past(str(log), Query()) for entry in batch]


def test_records(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time_ns", lambda: NOON)
    writer = LocalWriter(str(log))
    writer.feed(1, b"hello\n\xff\0<>\n")
    writer.feed(2, b"no end")
    writer.close()
    moment = b"%016x" % NOON
    assert log.read_bytes().splitlines() == [
        b"#sampan-log 1 0",
        b"o" + moment + b" hello",
        b"o" + moment + b" \xff\0<>",
        b"E" + moment + b" no end",
    ]
    assert read(log) == [Entry(1, b"hello\n", SHOWN), Entry(1, b"\xff\0<>\n", SHOWN), Entry(2, b"no end", SHOWN)]
    assert log.parent.stat().st_mode & 0o777 == 0o700


def test_any_bytes_come_back(log: Path) -> None:
    noise = random.Random(3)
    whole = b"".join(noise.randbytes(noise.choice((0, 5, 300, PIECE, 2 * PIECE + 9))) + b"\n" for _ in range(80))
    writer = LocalWriter(str(log), max_size=40_000, max_files=1000)
    at = 0
    while at < len(whole):
        size = noise.choice((1, 700, 65536))
        writer.feed(1, whole[at : at + size])
        at += size
    writer.close()
    assert len(list(log.parent.iterdir())) > 5
    assert b"".join(entry.line for entry in read(log)) == whole


def test_files_say_how_many_records_came_before(log: Path) -> None:
    writer = LocalWriter(str(log), max_size=1000, max_files=4)
    for number in range(500):
        writer.feed(1, b"%d\n" % number)
    writer.close()
    # A new run goes on counting.
    writer = LocalWriter(str(log), max_size=1000, max_files=4)
    for number in range(500, 700):
        writer.feed(1, b"%d\n" % number)
    writer.close()
    for name in ("container.log", "container.log.1", "container.log.2", "container.log.3"):
        data = (log.parent / name).read_bytes()
        before = first_number(data)
        assert before == int(data.splitlines()[1][18:]), name


def test_a_crash_in_a_rotation_leaves_a_numbered_file(log: Path) -> None:
    writer = LocalWriter(str(log))
    writer.feed(1, b"a\nb\n")
    writer.close()
    log.rename(f"{log}.1")
    log.with_name("container.log.new").write_bytes(b"#sampan-log 1 2\n")
    writer = LocalWriter(str(log))
    writer.feed(1, b"c\n")
    writer.close()
    assert first_number(log.read_bytes()) == 2
    assert [entry.line for entry in read(log)] == [b"a\n", b"b\n", b"c\n"]


@pytest.mark.parametrize("torn", [b"o18", b"o18b3f2a4c5d6e7f8 hal", b"\0" * 3000])
def test_a_torn_record_is_cut_off(log: Path, torn: bytes) -> None:
    writer = LocalWriter(str(log))
    writer.feed(1, b"one\n")
    writer.close()
    with log.open("ab") as file:
        file.write(torn)
    assert [entry.line for entry in read(log)] == [b"one\n"], "a reader passes over it"
    writer = LocalWriter(str(log))
    writer.feed(1, b"two\n")
    writer.close()
    assert [entry.line for entry in read(log)] == [b"one\n", b"two\n"]


@pytest.mark.parametrize("line", [b"", b"x", b"o18b3f2a4c5d6e7f8", b"o18b3f2a4c5d6e7f8hello", b"oZZZZZZZZZZZZZZZZ x"])
def test_a_line_that_is_no_record_is_passed_over(log: Path, line: bytes) -> None:
    good = b"o18b3f2a4c5d6e7f8 hello\n"
    log.parent.mkdir()
    log.write_bytes(good + line + b"\n" + good)
    assert [entry.line for entry in read(log)] == [b"hello\n", b"hello\n"]


def test_attributes_stand_beside_the_log(log: Path) -> None:
    writer = LocalWriter(str(log), attributes=b'{"k":"v"}')
    writer.feed(1, b"a\n")
    writer.close()
    assert read(log)[0].attributes == {"k": "v"}
    LocalWriter(str(log)).close()
    assert read(log)[0].attributes is None


def test_clearing_begins_anew_and_goes_on_counting(log: Path) -> None:
    writer = LocalWriter(str(log), max_size=1000, max_files=4)
    for number in range(100):
        writer.feed(1, b"%d\n" % number)
    writer.feed(1, b"begun ")
    with log.open("rb") as reader:
        before = os.fstat(reader.fileno()).st_size
        writer.clear()
        assert len(reader.read()) == before, "who has it open reads it to its end"
    writer.feed(1, b"and ended\n")
    writer.close()
    assert [entry.line for entry in read(log)] == [b"begun and ended\n"]
    assert first_number(log.read_bytes()) == 100
    assert [path.name for path in log.parent.iterdir()] == ["container.log"]
