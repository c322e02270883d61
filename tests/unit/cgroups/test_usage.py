"""The kernel's counting files, as v1 and v2 write them."""

import pytest

from sampan.cgroups import usage
from sampan.cgroups.usage import Usage


def test_numbers() -> None:
    assert usage.number("42\n") == 42
    assert usage.number("max\n") == usage.UNLIMITED
    assert usage.keyed("cache 5\nrss 7\n") == {"cache": 5, "rss": 7}
    assert usage.keyed("") == {}


def test_processor_time_of_v1() -> None:
    found = Usage()
    usage.cpu_v1(
        found,
        "358204008\n",
        "316500177 41703831 \n",
        "user 35\nsystem 2\n",
        "nr_periods 9\nnr_throttled 4\nthrottled_time 123\nnr_bursts 0\nburst_time 0\n",
    )
    assert (found.cpu_total, found.cpu_each) == (358204008, (316500177, 41703831))
    assert (found.cpu_user, found.cpu_kernel) == (350_000_000, 20_000_000)
    assert (found.periods, found.throttled_periods, found.throttled_time) == (9, 4, 123)
    usage.cpu_v1(found, "", "", "", "")
    assert (found.cpu_total, found.cpu_each, found.cpu_user, found.periods) == (0, None, 0, 0)


def test_processor_time_of_v2() -> None:
    found = Usage()
    usage.cpu_v2(found, "usage_usec 12\nuser_usec 7\nsystem_usec 5\nnr_periods 3\nnr_throttled 1\nthrottled_usec 8\n")
    assert (found.cpu_total, found.cpu_each, found.cpu_user, found.cpu_kernel) == (12000, None, 7000, 5000)
    assert (found.periods, found.throttled_periods, found.throttled_time) == (3, 1, 8000)
    usage.cpu_v2(found, "usage_usec 1\nuser_usec 1\nsystem_usec 0\n")  # without a quota
    assert (found.cpu_total, found.periods) == (1000, 0)


def test_block_io() -> None:
    v1 = "8:0 Read 512\n8:0 Write 0\n8:0 Discard 0\n8:0 Total 512\n254:16 Read 4096\nTotal 4608\n"
    assert usage.transfers_v1(v1) == (
        (8, 0, "Read", 512), (8, 0, "Write", 0), (8, 0, "Discard", 0), (8, 0, "Total", 512), (254, 16, "Read", 4096),
    )  # fmt: skip
    assert usage.transfers_v1("\nTotal 0\n") == ()
    v2 = "8:0 rbytes=512 wbytes=7 rios=1 wios=1 dbytes=0 dios=0\n7:0 \n254:16 wbytes=3\n"
    assert usage.transfers_v2(v2) == (
        (8, 0, "read", 512),
        (8, 0, "write", 7),
        (254, 16, "read", 0),
        (254, 16, "write", 3),
    )


def test_pressure() -> None:
    text = "some avg10=97.32 avg60=90.98 avg300=44.74 total=186296221\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n"
    assert usage.pressure(text) == {
        "some": {"avg10": 97.32, "avg60": 90.98, "avg300": 44.74, "total": 186296221},
        "full": {"avg10": 0.0, "avg60": 0.0, "avg300": 0.0, "total": 0},
    }


@pytest.mark.parametrize("text", ["a", "a b", "1 2 3"])
def test_what_is_no_such_file_raises(text: str) -> None:
    with pytest.raises(ValueError, match=r"invalid literal|shorter than"):
        usage.keyed(text)
