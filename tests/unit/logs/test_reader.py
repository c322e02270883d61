"""What was written is read again: all, the end, a window of time; and followed, through rotations."""

import asyncio
import gzip
import shutil
from pathlib import Path

import pytest

from sampan.logs.jsonfile_writer import JsonFileWriter
from sampan.logs.reader import follow, past
from sampan.logs.reading import Query, Reading
from sampan.logs.records import Entry


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "x-json.log"


def numbered(log: Path, count: int, max_size: int = -1, max_files: int = 1) -> None:
    writer = JsonFileWriter(str(log), max_size, max_files)
    for number in range(count):
        writer.feed(1 + number % 2, b"%d\n" % number)
    writer.close()


def lines(log: Path, query: Query = Query()) -> list[int]:  # noqa: B008 - nobody changes it
    return [int(entry.line) for batch in past(str(log), query) for entry in batch]


def at(second: int, text: str = "x") -> bytes:
    return b'{"log":"%s\\n","stream":"stdout","time":"1970-01-01T00:00:%02d.5Z"}\n' % (text.encode(), second)


def test_no_log_is_no_entries(log: Path) -> None:
    assert lines(log) == []
    log.touch()
    assert lines(log) == []
    assert lines(log, Query(tail=3)) == []


def test_everything_in_order_through_rotated_files(log: Path) -> None:
    numbered(log, 1000, max_size=20_000, max_files=20)
    assert len(list(log.parent.iterdir())) > 3
    assert lines(log) == list(range(1000))


@pytest.mark.parametrize("tail", [0, 1, 10, 270, 271, 999, 1000, 5000])
@pytest.mark.parametrize("max_size", [-1, 20_000])
def test_the_tail_is_the_end_of_the_whole(log: Path, tail: int, max_size: int) -> None:
    numbered(log, 1000, max_size=max_size, max_files=20)
    assert lines(log, Query(tail=tail)) == list(range(1000))[max(0, 1000 - tail) :]


def test_the_tail_is_counted_before_streams_are_chosen(log: Path) -> None:
    numbered(log, 10)
    assert lines(log, Query(tail=4, stderr=False)) == [6, 8]
    assert lines(log, Query(stdout=False)) == [1, 3, 5, 7, 9]


def test_compressed_files_are_read_too(log: Path) -> None:
    numbered(log, 1000, max_size=30_000, max_files=10)
    rotated = log.with_name("x-json.log.2")
    with rotated.open("rb") as plain, gzip.open(f"{rotated}.gz", "wb") as packed:
        shutil.copyfileobj(plain, packed)
    rotated.unlink()
    assert lines(log) == list(range(1000))
    assert lines(log, Query(tail=900)) == list(range(100, 1000))


def test_a_compressed_file_that_is_cut_short_gives_what_it_has(log: Path) -> None:
    numbered(log, 5000)
    log.with_name("x-json.log.1.gz").write_bytes(gzip.compress(log.read_bytes())[:-100])
    read = lines(log)
    assert read[-5000:] == list(range(5000))
    assert read[:-5000] == list(range(len(read) - 5000))
    assert len(read) > 5100


@pytest.mark.parametrize("tail", [None, 3])
def test_torn_and_foreign_lines_are_passed_over(log: Path, tail: int | None) -> None:
    numbered(log, 3)
    good = log.read_bytes()
    damaged = b"nonsense\n" + b"\0" * 700 + good[: good.index(b"\n") + 1] + b'{"log":"9","stream":"elsewhere"}\n'
    log.write_bytes(damaged + good + good[:20])
    assert lines(log, Query(tail=tail)) == ([0, 0, 1, 2] if tail is None else [0, 1, 2])


def test_a_line_beyond_every_bound_is_passed_over(log: Path) -> None:
    numbered(log, 2)
    good = log.read_bytes()
    log.write_bytes(b"x" * (3 << 20) + b"\n" + good)
    assert lines(log) == [0, 1]


@pytest.mark.parametrize(
    ("since", "until", "expected"),
    [
        (None, None, [0, 1, 2, 3, 4]),
        (2_500_000_000, None, [2, 3, 4]),
        (2_500_000_001, None, [3, 4]),
        (None, 2_500_000_000, [0, 1, 2]),
        (None, 2_499_999_999, [0, 1]),
        (1_000_000_000, 3_000_000_000, [1, 2]),
        (9_000_000_000, None, []),
    ],
)
def test_a_window_of_time(log: Path, since: int | None, until: int | None, expected: list[int]) -> None:
    log.write_bytes(b"".join(at(second, str(second)) for second in range(5)))
    assert lines(log, Query(since=since, until=until)) == expected


def test_since_is_over_with_the_first_that_passes(log: Path) -> None:
    log.write_bytes(at(1, "1") + at(5, "5") + at(2, "2"))
    assert lines(log, Query(since=4_000_000_000)) == [5, 2]


async def followed(log: Path, query: Query, ended: asyncio.Event, seen: list[Entry]) -> None:
    async for batch in follow(str(log), query, ended):
        seen += batch


async def until(seen: list[Entry], count: int) -> None:
    async with asyncio.timeout(5):
        while len(seen) < count:  # noqa: ASYNC110 - the list is not ours to signal
            await asyncio.sleep(0.001)


@pytest.mark.parametrize("bound", [(-1, 1), (4000, 3)])
def test_a_follower_sees_every_line_until_the_end(log: Path, bound: tuple[int, int]) -> None:
    async def main() -> list[Entry]:
        seen: list[Entry] = []
        ended = asyncio.Event()
        numbered(log, 5)
        task = asyncio.create_task(followed(log, Query(tail=2), ended, seen))
        await until(seen, 2)
        writer = JsonFileWriter(str(log), *bound)
        for number in range(5, 400):
            writer.feed(1, b"%d\n" % number)
            if number % 20 == 0:
                await until(seen, number - 3 - 1)
        writer.feed(1, b"400")
        writer.close()
        ended.set()
        async with asyncio.timeout(5):
            await task
        return seen

    assert [int(entry.line) for entry in asyncio.run(main())] == list(range(3, 401))


def test_a_follower_waits_for_a_log_that_is_not_there_yet(log: Path) -> None:
    async def main() -> list[Entry]:
        seen: list[Entry] = []
        ended = asyncio.Event()
        task = asyncio.create_task(followed(log, Query(), ended, seen))
        await asyncio.sleep(0.03)
        numbered(log, 2)
        await until(seen, 2)
        ended.set()
        await task
        return seen

    assert len(asyncio.run(main())) == 2


def test_a_follower_of_what_has_ended_ends(log: Path) -> None:
    async def main() -> list[Entry]:
        seen: list[Entry] = []
        ended = asyncio.Event()
        ended.set()
        numbered(log, 3)
        async with asyncio.timeout(5):
            await followed(log, Query(), ended, seen)
        return seen

    assert len(asyncio.run(main())) == 3


def test_a_follower_stops_at_until(log: Path) -> None:
    log.write_bytes(at(1, "1") + at(5, "5"))

    async def main() -> list[Entry]:
        seen: list[Entry] = []
        async with asyncio.timeout(5):
            await followed(log, Query(until=4_000_000_000), asyncio.Event(), seen)
        return seen

    assert len(asyncio.run(main())) == 1


def test_a_record_half_written_waits_for_its_end(log: Path) -> None:
    async def main() -> list[Entry]:
        seen: list[Entry] = []
        ended = asyncio.Event()
        log.write_bytes(at(1, "1") + at(2, "2")[:30])
        task = asyncio.create_task(followed(log, Query(), ended, seen))
        await until(seen, 1)
        with log.open("ab") as file:
            file.write(at(2, "2")[30:])
        await until(seen, 2)
        ended.set()
        await task
        return seen

    assert [entry.line for entry in asyncio.run(main())] == [b"1\n", b"2\n"]


def test_a_position_is_behind_the_last_whole_record(log: Path) -> None:
    reading = Reading(str(log), Query())
    reading.open()
    nowhere = reading.position
    assert nowhere is None, "there is no file yet"
    log.write_bytes(at(1, "1") + at(2, "2")[:30])
    assert reading.grown()
    reading.more()
    while reading.grown():
        reading.more()
    status = log.stat()
    assert reading.position == (status.st_dev, status.st_ino, len(at(1, "1")))
    reading.close()
