"""A bucket that frames beside calls empty, and time fills."""

import pytest
from h2 import events

from sampan.buildkit.floods import BUCKET, Bucket, Flooded


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_resets_are_counted_and_forgiven() -> None:
    clock = Clock()
    bucket = Bucket(clock)
    for _ in range(int(BUCKET)):
        bucket.take(events.StreamReset(stream_id=1))
    with pytest.raises(Flooded):
        bucket.take(events.StreamReset(stream_id=1))
    clock.now = 1.0
    for _ in range(90):
        bucket.take(events.StreamReset(stream_id=1))
    with pytest.raises(Flooded):
        for _ in range(20):
            bucket.take(events.StreamReset(stream_id=1))


def test_pings_may_come_with_each_answer_and_calls_cost_nothing() -> None:
    bucket = Bucket(Clock())
    for _ in range(20_000):
        bucket.take(events.PingReceived(ping_data=b"x" * 8))
    for _ in range(100_000):
        bucket.take(events.WindowUpdated(stream_id=1, delta=1))
    with pytest.raises(Flooded):
        for _ in range(10_000):
            bucket.take(events.PingReceived(ping_data=b"x" * 8))


def test_empty_frames_cost_and_full_ones_do_not() -> None:
    bucket = Bucket(Clock())
    full = events.DataReceived(stream_id=1, data=b"x", flow_controlled_length=1)
    empty = events.DataReceived(stream_id=1, data=b"", flow_controlled_length=0)
    for _ in range(100_000):
        bucket.take(full)
    with pytest.raises(Flooded):
        for _ in range(6_000):
            bucket.take(empty)
