from datetime import UTC, datetime

import pytest

from sampan.errors import InvalidParameter
from sampan.images.times import epoch_of

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SECOND = 10**9


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T00:00:01.000000005Z", SECOND + 5),
        ("2022-02-04T21:20:12.497794809Z", 1644009612497794809),
        ("1970-01-01T01:00:00+01:00", 0),
        ("1970-01-02", 86400 * SECOND),
        ("1234.5", 1234 * SECOND + 5 * 10**8),
        ("1h30m", (1767225600 - 5400) * SECOND),
        ("10ms", 1767225600 * SECOND - 10**7),
        ("0001-01-01T00:00:00Z", -62135596800 * SECOND),
    ],
)
def test_moments(text: str, expected: int) -> None:
    assert epoch_of(text, NOW) == expected


@pytest.mark.parametrize("text", ["", "yesterday", "2020-13-01", "2020-01-01T25:00:00Z", "1x", "-5m", "9" * 50])
def test_nonsense(text: str) -> None:
    with pytest.raises(InvalidParameter, match="failed to parse value as time or duration"):
        epoch_of(text, NOW)
