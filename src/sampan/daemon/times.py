"""Times and durations as Docker writes them. Pure."""

import datetime as dt
import re
import time

from sampan.errors import InvalidParameter

NEVER = "0001-01-01T00:00:00Z"
_FIRST, _LAST = -62_135_596_800 * 10**9, 253_402_300_800 * 10**9 - 1
"""Of the years 1 to 9999."""


def rfc3339(nanoseconds: int) -> str:
    """Nanoseconds since the epoch in UTC, without trailing zeros, as Go writes RFC 3339; 0 is Go's zero time.

    A time beyond the four digits that a year has there becomes the first or last that they can say: files bear any (utimensat(2)).
    """
    if not nanoseconds:
        return NEVER
    seconds, rest = divmod(min(max(nanoseconds, _FIRST), _LAST), 10**9)
    fraction = f".{rest:09d}".rstrip("0") if rest else ""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + fraction + "Z"


def go_duration(nanoseconds: int) -> str:
    """A duration as Go prints it: `1m30s`, `1.5s`, `100ms`."""
    if nanoseconds < 10**9:
        for unit, size in (("ms", 10**6), ("µs", 1000)):
            if nanoseconds >= size:
                return _decimal(nanoseconds, size) + unit
        return f"{nanoseconds}ns" if nanoseconds else "0s"
    minutes, rest = divmod(nanoseconds, 60 * 10**9)
    hours, minutes = divmod(minutes, 60)
    text = f"{hours}h{minutes}m" if hours else f"{minutes}m" if minutes else ""
    return text + _decimal(rest, 10**9) + "s"


def _decimal(value: int, size: int) -> str:
    whole, rest = divmod(value, size)
    return f"{whole}.{rest:0{len(str(size)) - 1}d}".rstrip("0").rstrip(".") if rest else str(whole)


_UNITS = {"ns": 1, "us": 1000, "µs": 1000, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ns|us|µs|ms|s|m|h)")
_SECONDS = re.compile(r"([0-9]{1,18})(?:\.([0-9]{1,9}))?")


def parse_time(text: str, now_ns: int) -> int:
    """A filter's time in nanoseconds since the epoch: seconds, a duration ago (`10m`), or a date. Raises InvalidParameter."""
    if seconds := _SECONDS.fullmatch(text):
        return int(seconds[1]) * 10**9 + int((seconds[2] or "0").ljust(9, "0"))
    if text and "".join(match[0] for match in _DURATION.finditer(text)) == text:
        return now_ns - int(sum(float(match[1]) * _UNITS[match[2]] for match in _DURATION.finditer(text)))
    try:
        parsed = dt.datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidParameter(f"invalid filter 'until={text}'") from error
    # A date without a zone is UTC here: the daemon does not know the client's.
    return int((parsed if parsed.tzinfo else parsed.replace(tzinfo=dt.UTC)).timestamp() * 10**9)
