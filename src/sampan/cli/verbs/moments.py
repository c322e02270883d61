"""--since and --until: a moment, a Unix time, or how long ago."""

from __future__ import annotations

import time

from sampan.cli.failures import Exit
from sampan.cli.output.units import days_since_1970
from sampan.cli.values import duration

_SHAPES = ("%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H", "%Y-%m-%d")


def moment(text: str, option: str = "") -> str | None:
    """Seconds since 1970 with nine decimals, as the API takes them; None for "". Exit 1 for what is no moment."""
    if not text:
        return None
    try:
        return f"{time.time_ns() / 1e9 - duration(text) / 1e9:.9f}"
    except ValueError:
        pass
    try:
        return _absolute(text)
    except ValueError:
        prefix = f'invalid value for "{option}": ' if option else ""
        raise Exit(1, f'{prefix}failed to parse value as time or duration: "{text}"') from None


def _absolute(text: str) -> str:
    if text.replace(".", "", 1).isdigit():
        seconds, _, fraction = text.partition(".")
        return f"{seconds}.{fraction[:9]:0<9}" if fraction else seconds
    body, offset = _without_zone(text)
    body, _, fraction = body.partition(".")
    for shape in _SHAPES:
        try:
            parts = time.strptime(body, shape)
        except ValueError:
            continue
        if offset is None:
            seconds_since = int(time.mktime(parts))
        else:
            days = days_since_1970(parts.tm_year, parts.tm_mon, parts.tm_mday)
            seconds_since = days * 86400 + parts.tm_hour * 3600 + parts.tm_min * 60 + parts.tm_sec - offset
        return f"{seconds_since}.{fraction[:9]:0<9}"
    raise ValueError(text)


def _without_zone(text: str) -> tuple[str, int | None]:
    if text[-1:] in ("Z", "z"):
        return text[:-1], 0
    tail = text[-6:]
    if len(tail) == 6 and tail[0] in "+-" and tail[3] == ":" and (tail[1:3] + tail[4:]).isdigit() and "T" in text:
        sign = 1 if tail[0] == "+" else -1
        return text[:-6], sign * (int(tail[1:3]) * 3600 + int(tail[4:]) * 60)
    return text, None
