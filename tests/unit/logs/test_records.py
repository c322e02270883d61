"""Records decoded, and the words that clients get."""

import pytest

from sampan.logs.records import Entry, decode, fixed, frames, moment, render

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
        (rb'{"log":"a","time":"%s"}', b"a"),
    ],
)
def test_decode(record: bytes, line: bytes) -> None:
    assert decode(record % NOON + b"\n") == [Entry(1, line, NOON)]


def test_attributes_are_words() -> None:
    record = b'{"log":"a\\n","stream":"stdout","attrs":{"b":"2","n":1},"time":"%s"}\n' % NOON
    assert decode(record) == [Entry(1, b"a\n", NOON, {"b": "2"})]


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
    ("text", "nanoseconds"),
    [
        (b"1970-01-01T00:00:01Z", 1_000_000_000),
        (b"1970-01-01T00:00:00.5Z", 500_000_000),
        (b"2026-11-24T12:00:00.000000001Z", 1_795_521_600_000_000_001),
        (b"1969-12-31T23:59:59.25Z", -750_000_000),
        (b"0001-01-01T00:00:00Z", -62_135_596_800_000_000_000),
    ],
)
def test_times_compare_as_text(text: bytes, nanoseconds: int) -> None:
    assert moment(nanoseconds - 1) < fixed(text) == moment(nanoseconds) < moment(nanoseconds + 1)


def test_times_beyond_every_record() -> None:
    first, last = b"0001-01-01T00:00:00Z", b"9999-12-31T23:59:59.999999999Z"
    assert moment(-(2**63) * 10**9) < fixed(first)
    assert fixed(last) < moment(2**63 * 10**9)


@pytest.mark.parametrize(
    ("timestamps", "details", "attributes", "expected"),
    [
        (False, False, {"a": "b"}, b"x\n"),
        (True, False, None, b"2026-11-24T12:00:00.100000000Z x\n"),
        (False, True, {"b": "2 & 3", "a": "1"}, b"a=1,b=2+%26+3 x\n"),
        (False, True, {"_.-~/": "é\t"}, b"_.-~%2F=%C3%A9%09 x\n"),
        (True, True, None, b"2026-11-24T12:00:00.100000000Z  x\n"),
    ],
)
def test_render(timestamps: bool, details: bool, attributes: dict[str, str] | None, expected: bytes) -> None:
    entry = Entry(2, b"x\n", NOON, attributes)
    assert render([entry], timestamps=timestamps, details=details) == [(2, expected)]


def test_frames() -> None:
    records = [(1, b"out\n"), (2, b"errors\n")]
    assert frames(records) == b"\1\0\0\0\0\0\0\4out\n\2\0\0\0\0\0\0\7errors\n"
    assert frames(records, tty=True) == b"out\nerrors\n"
