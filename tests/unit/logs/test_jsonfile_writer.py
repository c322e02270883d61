"""The writer: records as Docker's own encoder makes them, whatever the chunks; bounds; a full disk."""

import errno
import json
import os
import random
from pathlib import Path

import pytest

from sampan.logs.jsonfile_writer import JsonFileWriter, escape
from sampan.logs.line_writer import PIECE
from sampan.logs.log_file import MOST_BEHIND
from sampan.logs.records import decode

NOON = 1_795_521_600_123_456_789  # 2026-11-24T12:00:00.123456789Z


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "x-json.log"


def fed(log: Path, *chunks: tuple[int, bytes], attributes: bytes = b"") -> list[bytes]:
    writer = JsonFileWriter(str(log), attributes=attributes)
    for stream, chunk in chunks:
        writer.feed(stream, chunk)
    writer.close()
    return log.read_bytes().splitlines()


def texts(records: list[bytes]) -> list[str]:
    return [json.loads(record)["log"] for record in records]


def go_string(data: bytes) -> bytes:
    """What Docker's encoder writes (jsonlogbytes.go), byte by byte: the slow definition."""
    out = b""
    at = 0
    while at < len(data):
        byte = data[at]
        if byte < 0x80:
            short = {0x22: b'\\"', 0x5C: b"\\\\", 0x0A: b"\\n", 0x0D: b"\\r"}.get(byte)
            plain = byte >= 0x20 and byte not in b"<>&"
            out += short or (bytes([byte]) if plain else b"\\u00%02x" % byte)
            at += 1
            continue
        for size in (2, 3, 4):
            try:
                character = data[at : at + size].decode()
            except UnicodeDecodeError:
                continue
            if len(character) == 1:
                shown = {"\u2028": b"\\u2028", "\u2029": b"\\u2029"}.get(character)
                out += shown or data[at : at + size]
                at += size
                break
        else:
            out += b"\\ufffd"
            at += 1
    return out


def test_a_record_is_dockers(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time_ns", lambda: NOON)
    records = fed(log, (1, b"hello\n"), (2, b"oh <no>"))
    assert records == [
        b'{"log":"hello\\n","stream":"stdout","time":"2026-11-24T12:00:00.123456789Z"}',
        b'{"log":"oh \\u003cno\\u003e","stream":"stderr","time":"2026-11-24T12:00:00.123456789Z"}',
    ]


@pytest.mark.parametrize(
    ("nanoseconds", "shown"),
    [(0, b"12:00:00Z"), (500_000_000, b"12:00:00.5Z"), (120, b"12:00:00.00000012Z"), (1, b"12:00:00.000000001Z")],
)
def test_times_have_no_zeros_at_their_end(
    log: Path, monkeypatch: pytest.MonkeyPatch, nanoseconds: int, shown: bytes
) -> None:
    monkeypatch.setattr("time.time_ns", lambda: NOON // 10**9 * 10**9 + nanoseconds)
    assert fed(log, (1, b"\n"))[0].endswith(b'"time":"2026-11-24T' + shown + b'"}')


def test_attributes_stand_between_stream_and_time(log: Path) -> None:
    record = fed(log, (1, b"a\n"), attributes=b'{"k":"v"}')[0]
    assert record.startswith(b'{"log":"a\\n","stream":"stdout","attrs":{"k":"v"},"time":"')


@pytest.mark.parametrize(
    "data",
    [
        b"plain",
        b'"\\\\" \\u0041',
        bytes(b for b in range(128) if b != 10),
        b'<a href="x">&amp;</a>\t\x1b[0m\x7f',
        "é — 你好 \U0001f600 \u2028 \u2029 \ufffd".encode(),
        b"\xff\xfe\xc0\x80",
        b"\xe2\x80",
        b"\xe2\x28\xa1",
        b"\xed\xa0\x80 \xf4\x90\x80\x80 \xf0\x9f\x98",
        b"\xe2\x80\xa8\xff\xe2\x80\xa9\\",
    ],
)
def test_escapes_are_gos(data: bytes) -> None:
    assert escape(data) == go_string(data)


def test_escapes_are_gos_for_noise() -> None:
    noise = random.Random(1)
    for _ in range(300):
        data = noise.randbytes(noise.randrange(40)).replace(b"\n", b"")
        assert escape(data) == go_string(data)


def test_chunks_may_be_cut_anywhere(tmp_path: Path) -> None:
    noise = random.Random(2)
    lines = [b"l%d " % n + b"x" * noise.choice((0, 3, 80, 5000, PIECE, 3 * PIECE + 7)) for n in range(60)]
    whole = b"\n".join(lines) + b"\nno end"
    expected = texts(fed(tmp_path / "whole", (1, whole)))
    assert "".join(expected).encode() == whole
    for number in range(5):
        chunks = []
        at = 0
        while at < len(whole):
            size = noise.choice((1, 10, 4096, 65536))
            chunks.append((1, whole[at : at + size]))
            at += size
        assert texts(fed(tmp_path / str(number), *chunks)) == expected


@pytest.mark.parametrize(
    ("line", "pieces"),
    [
        (b"x" * (PIECE - 1) + b"\n", [PIECE]),
        (b"x" * PIECE + b"\n", [PIECE, 1]),
        (b"x" * (PIECE + 1) + b"\n", [PIECE, 2]),
        (b"x" * (2 * PIECE + 5), [PIECE, PIECE, 5]),
    ],
)
def test_long_lines_become_pieces(log: Path, line: bytes, pieces: list[int]) -> None:
    records = fed(log, (1, b"short\n" + line))
    assert [len(text) for text in texts(records)] == [6, *pieces]


def test_pieces_of_a_line_have_its_first_time(log: Path) -> None:
    records = fed(log, *[(1, b"x" * 5000) for _ in range(10)], (1, b"\nnext\n"))
    times = [json.loads(record)["time"] for record in records]
    assert len(times) == 5
    assert len(set(times[:-1])) == 1


def test_streams_do_not_mix(log: Path) -> None:
    assert texts(fed(log, (1, b"a"), (2, b"b\n"), (1, b"c\n"))) == ["b\n", "ac\n"]


def test_it_goes_on_behind_what_is_there(log: Path) -> None:
    fed(log, (1, b"one\n"))
    assert texts(fed(log, (1, b"two\n"))) == ["one\n", "two\n"]


@pytest.mark.parametrize("torn", [b'{"log":"tor', b"\0" * 5000, b"\0" * 200_000])
def test_a_torn_record_is_cut_off(log: Path, torn: bytes) -> None:
    fed(log, (1, b"one\n"))
    log.write_bytes(log.read_bytes() + torn)
    assert texts(fed(log, (1, b"two\n"))) == ["one\n", "two\n"]


@pytest.mark.parametrize("chunk", [1, 1000])
def test_rotation_keeps_dockers_names_and_bounds(log: Path, chunk: int) -> None:
    writer = JsonFileWriter(str(log), max_size=2000, max_files=3)
    for start in range(0, 3000, chunk):
        writer.feed(1, b"".join(b"%d\n" % n for n in range(start, start + chunk)))
    writer.close()
    names = sorted(path.name for path in log.parent.iterdir())
    assert names == ["x-json.log", "x-json.log.1", "x-json.log.2"]
    kept = []
    for name in reversed(names):
        size = (log.parent / name).stat().st_size
        assert size < 2000 + 100
        assert name == "x-json.log" or size >= 2000
        kept += texts((log.parent / name).read_bytes().splitlines())
    assert len(kept) > 40
    assert kept == [f"{n}\n" for n in range(3000 - len(kept), 3000)]


def test_one_file_begins_anew_when_it_is_full(log: Path) -> None:
    writer = JsonFileWriter(str(log), max_size=500, max_files=1)
    with log.open("rb") as reader:
        for n in range(20):
            writer.feed(1, b"%d\n" % n)
        writer.close()
        assert texts(reader.read().splitlines())[0] == "0\n", "who has it open keeps the old one"
    assert [path.name for path in log.parent.iterdir()] == ["x-json.log"]
    assert texts(log.read_bytes().splitlines())[-1] == "19\n"
    assert log.stat().st_size < 600


@pytest.fixture
def small_disk(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """os.write as on a disk with room for so many bytes more."""
    room = [0]
    write = os.write

    def limited(descriptor: int, data: memoryview) -> int:
        if room[0] <= 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        done = write(descriptor, data[: room[0]])
        room[0] -= done
        return done

    monkeypatch.setattr("os.write", limited)
    return room


def test_a_full_disk_drops_counts_and_says_so_once(log: Path, small_disk: list[int]) -> None:
    writer = JsonFileWriter(str(log))
    small_disk[0] = 250
    writer.feed(1, b"a\nb\nc\nd\ne\n")
    assert texts(log.read_bytes().splitlines()) == ["a\n", "b\n", "c\n"]
    writer.feed(2, b"f\n")
    assert writer.dropped == 3
    small_disk[0] = 100_000
    writer.feed(1, b"g\n")
    writer.feed(1, b"h\n")
    writer.close()
    said = "sampan: 3 records of this log were dropped: No space left on device\n"
    assert texts(log.read_bytes().splitlines()) == ["a\n", "b\n", "c\n", said, "g\n", "h\n"]
    assert writer.dropped == 0


def place(path: Path) -> tuple[int, int, int]:
    status = path.stat()
    return status.st_dev, status.st_ino, status.st_size


def test_what_came_behind_a_place(tmp_path: Path) -> None:
    path = tmp_path / "log"
    writer = JsonFileWriter(str(path))
    writer.feed(1, b"one\n")
    here = place(path)
    assert writer.since(*here) == (b"", [])
    writer.feed(2, b"two\nbeg")
    writer.feed(1, b"un")
    records, begun = writer.since(*here) or (b"", [])
    assert [entry.line for entry in decode(records)] == [b"two\n"]
    assert begun == [(1, b"un"), (2, b"beg")]
    writer.close()


def test_a_place_too_far_back_or_in_another_file(tmp_path: Path) -> None:
    path = tmp_path / "log"
    writer = JsonFileWriter(str(path), 100, 2)
    writer.feed(1, b"one\n")
    device, inode, size = place(path)
    assert writer.since(device, inode, size + 1) is None
    assert writer.since(0, 0, 0) is None
    writer.feed(1, b"two\nthree\n")
    assert writer.since(device, inode, size) is None, "it was rotated"
    writer.close()
    unbounded = JsonFileWriter(str(tmp_path / "other"))
    start = place(tmp_path / "other")
    unbounded.feed(1, b"x\n" * MOST_BEHIND)
    assert unbounded.since(*start) is None
    unbounded.close()
