"""Multiplexed streams, in whatever pieces they arrive."""

import pytest

from sampan.client.failures import BrokenConversation
from sampan.client.streams import Demultiplexer


def frame(stream: int, payload: bytes) -> bytes:
    return bytes([stream, 0, 0, 0]) + len(payload).to_bytes(4, "big") + payload


WHOLE = frame(1, b"out") + frame(2, b"err") + frame(1, b"") + frame(0, b"in") + frame(1, b"x" * 1000)


@pytest.mark.parametrize("size", [1, 3, 7, 8, 9, 64, 100_000])
def test_pieces_of_any_size_give_the_same(size: int) -> None:
    frames = Demultiplexer()
    found: dict[int, bytes] = {}
    for at in range(0, len(WHOLE), size):
        for stream, piece in frames.feed(WHOLE[at : at + size]):
            found[stream] = found.get(stream, b"") + piece
    assert found == {1: b"outin" + b"x" * 1000, 2: b"err"}
    assert not frames.inside_frame


@pytest.mark.parametrize("cut", [1, 7, 8, 10])
def test_knows_that_a_frame_is_unfinished(cut: int) -> None:
    frames = Demultiplexer()
    list(frames.feed(frame(1, b"out")[:cut]))
    assert frames.inside_frame


def test_unknown_stream_is_refused() -> None:
    with pytest.raises(BrokenConversation, match="unrecognized stream type 72"):
        list(Demultiplexer().feed(b"HTTP/1.1"))


def test_daemons_error_is_raised_with_its_text() -> None:
    with pytest.raises(BrokenConversation, match="error from daemon in stream: it broke"):
        list(Demultiplexer().feed(frame(3, b"it broke")))


def test_large_frame_is_not_collected() -> None:
    frames = Demultiplexer()
    list(frames.feed(b"\1\0\0\0\xff\xff\xff\xff"))
    assert list(frames.feed(b"abc")) == [(1, b"abc")]
