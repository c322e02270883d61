"""The time of all processors, as /proc/stat has it."""

import os

from sampan.host.processors import ProcessorTime, parse


def test_sum_and_count() -> None:
    text = "cpu  1 2 3 4 5 6 7 8 9 10\ncpu0 1 1 1 1 1 1 1 1 1 1\ncpu3 0 1 2 3 4 5 6 7 8 9\nintr 5 cpu\nctxt 7\n"
    assert parse(text) == (28, 2)


def test_it_goes_on() -> None:
    time = ProcessorTime()
    first, count = time.read()
    second, _ = time.read()
    time.close()
    assert second >= first > 0
    assert count == os.sysconf("SC_NPROCESSORS_ONLN")
