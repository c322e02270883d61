import gzip
from pathlib import Path

import pytest

from sampan.logs.jsonfile_writer import JsonFileWriter
from sampan.logs.history import Follower, fixed_time, parse, parse_time, read, tail


def written(path: Path, count: int, max_size: int = -1, max_files: int = 1) -> JsonFileWriter:
    writer = JsonFileWriter(str(path), max_size, max_files)
    for number in range(count):
        writer.feed(1 + number % 2, b"line %d <&> \xc3\xa4\n" % number)
    return writer


def test_what_was_written_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "log"
    written(path, 1000).close()
    entries = list(read(str(path)))
    assert [entry.log for entry in entries] == [f"line {number} <&> ä\n" for number in range(1000)]
    assert [entry.number for entry in entries[:3]] == [1, 2, 1]
    assert entries[0].line() == "line 0 <&> ä\n".encode()
    assert entries[0].time_ns > 1_700_000_000_000_000_000


@pytest.mark.parametrize("count", [0, 1, 10, 999, 1000, 5000])
def test_the_tail_is_the_end_of_the_whole(tmp_path: Path, count: int) -> None:
    path = tmp_path / "log"
    written(path, 1000, max_size=20_000, max_files=20).close()
    assert (tmp_path / "log.1").exists()
    whole = [entry.log for entry in read(str(path))]
    assert len(whole) == 1000
    assert [entry.log for entry in tail(str(path), count)] == (whole[-count:] if count else [])


def test_compressed_files_are_read_too(tmp_path: Path) -> None:
    path = tmp_path / "log"
    written(path, 100).close()
    with gzip.open(tmp_path / "log.1.gz", "wb") as file:
        file.write(path.read_bytes())
    assert len(list(read(str(path)))) == 200
    assert len(tail(str(path), 150)) == 150


def test_torn_and_foreign_lines_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "log"
    written(path, 3).close()
    good = path.read_bytes()
    path.write_bytes(b"nonsense\n" + good + b"[1]\n" + good[:40])
    assert len(list(read(str(path)))) == 3
    assert len(tail(str(path), 10)) == 3
    assert parse(b"x" * 300_000) is None


def test_a_follower_sees_every_line_through_rotations(tmp_path: Path) -> None:
    path = tmp_path / "log"
    writer = JsonFileWriter(str(path), max_size=4000, max_files=3)
    follower = Follower(str(path))
    seen = []
    for number in range(500):
        writer.feed(1, b"%d\n" % number)
        seen += follower.poll()
    for _ in range(10):
        seen += follower.poll()
    assert [entry.log for entry in seen] == [f"{number}\n" for number in range(500)]
    writer.close()
    follower.close()


def test_a_follower_waits_for_a_log_that_is_not_there_yet(tmp_path: Path) -> None:
    follower = Follower(str(tmp_path / "log"))
    assert follower.poll() == []
    written(tmp_path / "log", 2).close()
    assert len(follower.poll()) == 2
    follower.close()


@pytest.mark.parametrize(
    ("text", "ns", "fixed"),
    [
        ("1970-01-01T00:00:01Z", 1_000_000_000, "1970-01-01T00:00:01.000000000Z"),
        ("1970-01-01T00:00:00.5Z", 500_000_000, "1970-01-01T00:00:00.500000000Z"),
        ("1970-01-01T00:00:00.123456789Z", 123_456_789, "1970-01-01T00:00:00.123456789Z"),
        ("yesterday", 0, "yesterday.000000000Z"),
    ],
)
def test_times(text: str, ns: int, fixed: str) -> None:
    assert (parse_time(text), fixed_time(text)) == (ns, fixed)


def test_timestamps_and_details() -> None:
    entry = parse(b'{"log":"a\\n","stream":"stderr","attrs":{"k":"v","a":"b"},"time":"1970-01-01T00:00:01Z"}')
    assert entry is not None
    assert entry.line(timestamps=True, details=True) == b"1970-01-01T00:00:01.000000000Z a=b,k=v a\n"
