"""Records decoded, and the words that clients get."""

import pytest

from sampan.logs.records import Entry, decode, frames, render, time_ns

NOON = b"2026-11-24T12:00:00.1Z"


@pytest.mark.parametrize(
    ("record", "line"),
    [
        (rb'{"log":"a\n","stream":"stdout","time":"%s"}', b"a\n"),
        (rb'{"log":"a","stream":"stdout","time":"%s"}', b"a"),
        (
            rb'{"log":"\u003c\"\\\u0000\u2028\ufffd\r\n","stream":"stdout","time":"%s"}',
            '<"\\\0\u2028\ufffd\r\n'.encode(),
        ),
        (rb'{"time":"%s","log":"a\n","stream":"stdout","more":[1]}', b"a\n"),
        (rb'{"stream":"stdout","time":"%s"}', b""),
    ],
)
def test_decode(record: bytes, line: bytes) -> None:
    assert decode(record % NOON + b"\n") == [Entry(1, line, NOON)]


def test_a_damaged_line_costs_only_itself() -> None:
    good = b'{"log":"a\\n","stream":"stderr","time":"%s"}\n' % NOON
    for bad in (
        b"{\n",
        b"[]\n",
        b'{"log":1}\n',
        b'{"log":"\\ud800","stream":"stdout"}\n',
        b'{"log":"\xff","time":""}\n',
    ):
        assert decode(good + bad + good) == [Entry(2, b"a\n", NOON)] * 2


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"1970-01-01T00:00:01Z", 1_000_000_000),
        (b"1970-01-01T00:00:00.5Z", 500_000_000),
        (b"2026-11-24T12:00:00.000000001Z", 1_795_521_600_000_000_001),
        (b"", 0),
        (b"yesterday", 0),
        (b"1970-01-01T00:00:01.xZ", 0),
    ],
)
def test_time_ns(text: bytes, expected: int) -> None:
    assert time_ns(text) == expected


@pytest.mark.parametrize(
    ("timestamps", "details", "attributes", "expected"),
    [
        (False, False, b'{"a":"b"}', b"x\n"),
        (True, False, b"", b"2026-11-24T12:00:00.100000000Z x\n"),
        (False, True, b'{"b":"2 & 3","a":"1"}', b"a=1,b=2+%26+3 x\n"),
        (True, True, b"", b"2026-11-24T12:00:00.100000000Z  x\n"),
    ],
)
def test_render(timestamps: bool, details: bool, attributes: bytes, expected: bytes) -> None:
    entry = Entry(2, b"x\n", NOON, attributes)
    assert render([entry], timestamps=timestamps, details=details) == [(2, expected)]


def test_frames() -> None:
    records = [(1, b"out\n"), (2, b"errors\n")]
    assert frames(records) == b"\1\0\0\0\0\0\0\4out\n\2\0\0\0\0\0\0\7errors\n"
    assert frames(records, tty=True) == b"out\nerrors\n"
