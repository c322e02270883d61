"""The local log as the shipper reads it: from any position, through rotation and packing; what is gone is counted."""

import random
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from sampan.logs.clearing import clear
from sampan.logs.compression import pack_renamed
from sampan.logs.line_writer import PIECE
from sampan.logs.local_writer import LocalWriter
from sampan.logs.shipping.jobs import Position, end_of, is_sent
from sampan.logs.shipping.source import Record, Source


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "container-cached.log"


def everything(source: Source) -> tuple[list[Record], int, Position]:
    """All there is now: the records, how many were lost, and where it ends."""
    records: list[Record] = []
    lost = 0
    after = Position()
    while (batch := source.read()) is not None:
        records += batch.records
        lost += batch.lost
        after = batch.after
    return records, lost, after


def read_from(log: Path, position: Position) -> tuple[list[Record], int, Position]:
    with closing(Source(str(log), position)) as source:
        return everything(source)


@pytest.fixture
def source(log: Path) -> Iterator[Source]:
    with closing(Source(str(log), Position())) as opened:
        yield opened


def write(log: Path, start: int, end: int, max_size: int = -1, max_files: int = 1) -> None:
    writer = LocalWriter(str(log), max_size, max_files, compress=True)
    for number in range(start, end):
        writer.feed(1 + number % 2, b"%d\n" % number)
    writer.close()


def numbers(records: list[Record]) -> list[int]:
    return [int(record.text) for record in records]


def test_nothing_is_there_yet(log: Path, source: Source) -> None:
    assert source.read() is None
    write(log, 0, 3)
    assert numbers(everything(source)[0]) == [0, 1, 2]
    assert source.read() is None


def test_records_have_stream_text_and_time(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time_ns", lambda: 12_345)
    writer = LocalWriter(str(log))
    writer.feed(1, b"a\xff\n")
    writer.feed(2, b"\n")
    writer.close()
    assert read_from(log, Position())[0] == [Record(1, b"a\xff", 12_345), Record(2, b"", 12_345)]


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("max_size", [-1, 1500])
def test_every_position_goes_on_exactly_there(log: Path, max_size: int, packed: bool) -> None:
    write(log, 0, 300, max_size, 100)
    if packed:
        pack_renamed(str(log))
    after = Position()
    for start in (299, 300, 58, 57, 1, 0):
        records, lost, ended = read_from(log, Position(start))
        assert numbers(records) == list(range(start, 300))
        assert lost == 0
        after = ended
    assert after.record == 300
    write(log, 300, 302, max_size, 100)
    assert numbers(read_from(log, after)[0]) == [300, 301], "with the place in the file, too"


def test_it_follows_through_rotation_and_packing(log: Path, source: Source) -> None:
    seen: list[int] = []
    writer = LocalWriter(str(log), 800, 200, compress=True)
    noise = random.Random(5)
    for number in range(2000):
        writer.feed(1, b"%d\n" % number)
        if noise.random() < 0.02:
            seen += numbers(everything(source)[0])
        if noise.random() < 0.02:
            pack_renamed(str(log))
    writer.close()
    seen += numbers(everything(source)[0])
    assert seen == list(range(2000))


def test_what_was_rotated_away_is_counted(log: Path) -> None:
    write(log, 0, 1000, 1000, 3)
    records, lost, after = read_from(log, Position(100))
    assert lost > 500
    assert numbers(records) == list(range(100 + lost, 1000))
    assert after.record == 1000


def test_what_was_rotated_away_under_a_slow_shipper_is_counted(log: Path, source: Source) -> None:
    write(log, 0, 20, 10_000, 2)
    assert numbers(everything(source)[0]) == list(range(20))
    write(log, 20, 1000, 1000, 2)
    records, lost, _ = everything(source)
    assert numbers(records)[-1] == 999
    assert len(records) + lost == 980


def test_what_was_cleared_is_counted(log: Path) -> None:
    write(log, 0, 50)
    clear(str(log))
    write(log, 50, 60)
    records, lost, _ = read_from(log, Position(10))
    assert lost == 40
    assert numbers(records) == list(range(50, 60))


def test_pieces_of_a_line_know_of_each_other(log: Path) -> None:
    writer = LocalWriter(str(log))
    writer.feed(1, b"x" * (2 * PIECE + 5) + b"\nshort\n")
    writer.close()
    records = read_from(log, Position())[0]
    partials = [record.partial for record in records]
    assert partials[3] is None
    told = [(partial.ordinal, partial.last) for partial in partials[:3] if partial is not None]
    assert told == [(1, False), (2, False), (3, True)]
    assert len({partial.id for partial in partials[:3] if partial is not None}) == 1


def test_a_torn_record_is_counted_and_left_out(log: Path) -> None:
    write(log, 0, 3)
    with log.open("ab") as file:
        file.write(b"damaged\n")
    write(log, 4, 6)
    records, lost, after = read_from(log, Position())
    assert numbers(records) == [0, 1, 2, 4, 5]
    assert (lost, after.record) == (0, 6)


@pytest.mark.parametrize("max_size", [-1, 100])
def test_whether_everything_before_an_end_is_sent(log: Path, source: Source, max_size: int) -> None:
    sent = Position()
    assert is_sent(sent, end_of(str(log)))
    for start in range(0, 40, 2):
        write(log, start, start + 2, max_size, 3)
        end = end_of(str(log))
        assert end.empty or not is_sent(sent, end)
        sent = everything(source)[2]
        assert is_sent(sent, end)


def test_a_file_that_was_only_begun(log: Path) -> None:
    log.write_bytes(b"#sampan-log 1 7\n")
    end = end_of(str(log))
    assert [is_sent(Position(record, 3, 999), end) for record in (6, 7)] == [False, True]
