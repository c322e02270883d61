"""Moments as clients and images write them."""

import re
from datetime import datetime, timedelta

from sampan.errors import InvalidParameter

_RFC3339 = re.compile(
    r"(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2}(?::\d{2})?)(?:\.(\d{1,9})\d*)?)?(Z|[+-]\d{2}:\d{2})?", re.ASCII
)
_UNIX = re.compile(r"(\d{1,12})(?:\.(\d{1,9}))?", re.ASCII)
_DURATION = re.compile(r"(?:\d{1,9}(?:\.\d{1,9})?(?:ns|us|µs|ms|s|m|h))+", re.ASCII)
_PART = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)", re.ASCII)
_UNITS = {"ns": 1, "us": 10**3, "µs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}


def epoch_of(text: str, now: datetime) -> int:
    """Nanoseconds since the epoch of a date, a Unix time, or a Go duration before `now` (which has a time zone).

    Raises InvalidParameter.
    """
    if _DURATION.fullmatch(text):
        elapsed = sum(int(float(number) * _UNITS[unit]) for number, unit in _PART.findall(text))
        return int(now.timestamp() * 10**9) - elapsed
    if match := _UNIX.fullmatch(text):
        return int(match[1]) * 10**9 + int((match[2] or "").ljust(9, "0"))
    match = _RFC3339.fullmatch(text)
    if match is None:
        raise InvalidParameter(f'failed to parse value as time or duration: "{text[:100]}"')
    day, clock, fraction, zone = match.groups()
    try:
        whole = datetime.fromisoformat(f"{day}T{clock or '00:00'}{'+00:00' if zone in (None, 'Z') else zone}")
        seconds = (whole - datetime.fromisoformat("1970-01-01T00:00:00+00:00")) // timedelta(seconds=1)
    except (ValueError, OverflowError) as error:
        raise InvalidParameter(f'failed to parse value as time or duration: "{text[:100]}"') from error
    return seconds * 10**9 + int((fraction or "").ljust(9, "0"))
