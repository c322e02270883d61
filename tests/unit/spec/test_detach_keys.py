"""Detach keys: what names them, and finding them in what is typed."""

import pytest

from sampan.spec.detach_keys import Detector, parse


@pytest.mark.parametrize(
    ("text", "keys"),
    [("ctrl-p,ctrl-q", b"\x10\x11"), ("a", b"a"), ("ctrl-[,x", b"\x1bx"), ("ctrl-@", b"\0"), ("ctrl-_", b"\x1f")],
)
def test_keys(text: str, keys: bytes) -> None:
    assert parse(text) == keys


@pytest.mark.parametrize("text", ["", "ctrl-", "ctrl-1", "ab", "a,,b", "alt-x", "ctrl-C", "ä"])
def test_what_are_no_keys(text: str) -> None:
    with pytest.raises(ValueError, match="Unknown character"):
        parse(text)


@pytest.mark.parametrize(
    ("typed", "passed", "detached"),
    [
        ([b"abc"], b"abc", False),
        ([b"ab\x10\x11cd"], b"ab", True),
        ([b"a\x10", b"\x11"], b"a", True),
        ([b"\x10", b"b"], b"\x10b", False),
        ([b"\x10\x10\x11"], b"\x10", True),
        ([b"\x11\x10"], b"\x11", False),
    ],
)
def test_detecting(typed: list[bytes], passed: bytes, detached: bool) -> None:
    detector = Detector(b"\x10\x11")
    assert b"".join(map(detector.feed, typed)) == passed
    assert detector.detached is detached


def test_of_no_keys_everything_passes() -> None:
    detector = Detector(b"")
    assert (detector.feed(b"a\x10\x11"), detector.detached) == (b"a\x10\x11", False)


def test_one_key_alone() -> None:
    detector = Detector(b"q")
    assert (detector.feed(b"abq"), detector.detached) == (b"ab", True)
