"""A bucket that frames beside calls empty, and time fills."""

import struct

import pytest

from sampan.buildkit.floods import BUCKET, PREFACE, Bucket, Flooded

DATA, HEADERS, RESET, PING, WINDOW, UNKNOWN = 0, 1, 3, 6, 8, 0x77


def frame(kind: int, payload: bytes = b"") -> bytes:
    return struct.pack(">I", len(payload))[1:] + bytes((kind, 0)) + b"\0\0\0\1" + payload


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_resets_are_counted_and_forgiven() -> None:
    clock = Clock()
    bucket = Bucket(clock=clock)
    bucket.take(frame(RESET, b"1234") * int(BUCKET))
    with pytest.raises(Flooded):
        bucket.take(frame(RESET, b"1234"))
    clock.now = 1.0
    bucket.take(frame(RESET, b"1234") * 90)
    with pytest.raises(Flooded):
        bucket.take(frame(RESET, b"1234") * 20)


@pytest.mark.parametrize(
    ("kind", "payload", "allowed"), [(PING, b"x" * 8, 20_000), (DATA, b"", 4_000), (UNKNOWN, b"y", 400)]
)
def test_others_have_their_price(kind: int, payload: bytes, allowed: int) -> None:
    bucket = Bucket(clock=Clock())
    bucket.take(frame(kind, payload) * allowed)
    with pytest.raises(Flooded):
        bucket.take(frame(kind, payload) * allowed)


def test_data_and_calls_are_what_it_is_for() -> None:
    bucket = Bucket(clock=Clock())
    bucket.take(frame(DATA, b"x") * 100_000)
    bucket.take(frame(HEADERS, b"z" * 50) * 5_000)
    bucket.take(frame(WINDOW, b"1234") * 20_000)


@pytest.mark.parametrize("size", [1, 3, 8, 9, 10, 1000])
def test_frames_are_told_however_they_are_cut(size: int) -> None:
    """A payload that looks like resets is none; what comes behind it counts."""
    looks = frame(DATA, frame(RESET, b"1234") * 600)
    stream = b"p" * PREFACE + looks + frame(RESET, b"1234") * int(BUCKET)
    bucket = Bucket(PREFACE, Clock())
    for at in range(0, len(stream), size):
        bucket.take(stream[at : at + size])
    with pytest.raises(Flooded):
        bucket.take(frame(RESET, b"1234"))
