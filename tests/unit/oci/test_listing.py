"""Tables of ps(1), durations and samples: what callers of runc read."""

import pytest

from sampan.cgroups.usage import Usage
from sampan.errors import InvalidParameter, System
from sampan.oci.events import seconds, shown
from sampan.oci.listing import theirs

TABLE = "UID     PID    PPID CMD\nroot      7       1 a\x1b[2Jb\nroot     70       7 x 7\n7        8       1 y\n"


def test_lines_are_found_by_their_column() -> None:
    assert theirs(TABLE, [7]) == ["UID     PID    PPID CMD", "root      7       1 a?[2Jb"]
    assert theirs(TABLE, []) == ["UID     PID    PPID CMD"]


@pytest.mark.parametrize("table", ["", "CMD\nx\n"])
def test_a_table_without_numbers(table: str) -> None:
    with pytest.raises(System, match="PID"):
        theirs(table, [1])


@pytest.mark.parametrize(("text", "expected"), [("5s", 5), ("500ms", 0.5), ("2m", 120), ("0s", 0.1), ("999h", 86400)])
def test_durations(text: str, expected: float) -> None:
    assert seconds(text) == expected


@pytest.mark.parametrize("text", ["", "5", "s", "-1s", "5d", "1e3s", "9999999s"])
def test_no_durations(text: str) -> None:
    with pytest.raises(InvalidParameter):
        seconds(text)


def test_a_sample_has_runcs_members() -> None:
    told = shown(
        Usage(cpu_total=5, processes=2, memory=7, memory_details={"file": 3}, transfers=((8, 0, "Read", 512),))
    )
    assert told["cpu"] == {
        "usage": {"total": 5, "percpu": [], "kernel": 0, "user": 0},
        "throttling": {"periods": 0, "throttledPeriods": 0, "throttledTime": 0},
    }
    assert told["blkio"] == {
        "ioServiceBytesRecursive": [{"major": 8, "minor": 0, "op": "Read", "value": 512}],
        "ioServicedRecursive": [],
    }
