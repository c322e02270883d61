"""What a porter reports, read as that of a process which whoever is root in a container may have taken over."""

import pytest

from sampan.errors import System
from sampan.transfer.porter import PathStat, Report, report_of


def test_reports() -> None:
    assert report_of(b'{"done": true}') == report_of(b'{"held": true}') == Report()
    assert report_of(b'{"failed": "host", "message": "m", "errno": 28}') == Report("host", "m", 28)
    # A name that is no UTF-8, and a time beyond what 64 bits of nanoseconds hold: file systems have both.
    told = b'{"stat": {"name": "\\udcff", "size": 1, "mode": 33188, "mtime_ns": 15000000000000000000, "target": ""}}'
    assert report_of(told).stat == PathStat("\udcff", 1, 0o100644, 15_000_000_000_000_000_000, "")


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"[]",
        b"[" * 5000,
        b'{"failed": 1}',
        b'{"failed": "host", "errno": 99999999999999999999}',
        b'{"failed": "host", "errno": -1}',
        b'{"stat": {}}',
        b'{"stat": {"name": "a", "size": -1, "mode": 0, "mtime_ns": 0, "target": ""}}',
        b'{"stat": {"name": "a", "size": 0, "mode": "x", "mtime_ns": 0, "target": ""}}',
    ],
)
def test_what_is_no_report(message: bytes) -> None:
    with pytest.raises(System, match="speaks nonsense"):
        report_of(message)
