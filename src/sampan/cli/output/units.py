"""Sizes, ages and moments as people read them, in go-units' and Go's own forms."""

from __future__ import annotations

import time

_DECIMAL = ("B", "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB")
_BINARY = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB")


def decimal_size(size: float, digits: int = 4) -> str:
    """1.982MB: powers of 1000, `digits` significant digits (docker uses 3 in ps and images, 4 elsewhere)."""
    return _size(size, 1000.0, _DECIMAL, digits)


def binary_size(size: float) -> str:
    """23.54GiB: powers of 1024."""
    return _size(size, 1024.0, _BINARY, 4)


def _size(size: float, base: float, names: tuple[str, ...], digits: int) -> str:
    step = 0
    while size >= base and step < len(names) - 1:
        size /= base
        step += 1
    return general(size, digits) + names[step]


def general(number: float, digits: int) -> str:
    """Go's %.Ng: like C's, but the exponent of a number without a fraction only when it has to be."""
    return f"{number:.{digits}g}"


def ago(moment: float, now: float | None = None) -> str:
    """How long ago a Unix time was, with "ago"."""
    from sampan.spec.durations import human

    return human((time.time() if now is None else now) - moment) + " ago"


def go_time(moment: float) -> str:
    """Go's Time.String() of a whole Unix second, in local time: 2026-11-23 21:05:11 +0000 UTC."""
    return time.strftime("%Y-%m-%d %H:%M:%S %z %Z", time.localtime(moment))


def iso_time(moment: float) -> str:
    """RFC 3339 in local time, to the second, with Z for UTC."""
    local = time.localtime(moment)
    offset = time.strftime("%z", local)
    return time.strftime("%Y-%m-%dT%H:%M:%S", local) + ("Z" if offset == "+0000" else f"{offset[:3]}:{offset[3:]}")


def parse_time(text: str) -> float:
    """Seconds since 1970 of an RFC 3339 moment; 0.0 for Go's zero time. ValueError for anything else."""
    if len(text) < 20 or text[10] not in "Tt" or not text[:4].isdigit():
        raise ValueError(f"{text!r} is no RFC 3339 time")
    year, month, day = int(text[:4]), int(text[5:7]), int(text[8:10])
    hour, minute, second = int(text[11:13]), int(text[14:16]), int(text[17:19])
    rest = text[19:]
    fraction = 0.0
    if rest.startswith("."):
        end = 1
        while end < len(rest) and rest[end].isdigit():
            end += 1
        fraction, rest = float("0" + rest[:end]), rest[end:]
    offset = 0
    if rest not in ("Z", "z"):
        sign = {"+": 1, "-": -1}.get(rest[:1])
        if sign is None or len(rest) != 6:
            raise ValueError(f"{text!r} is no RFC 3339 time")
        offset = sign * (int(rest[1:3]) * 3600 + int(rest[4:6]) * 60)
    if year == 1:
        return 0.0
    return days_since_1970(year, month, day) * 86400 + hour * 3600 + minute * 60 + second - offset + fraction


def days_since_1970(year: int, month: int, day: int) -> int:
    """The proleptic Gregorian calendar's day number, 1970-01-01 being 0 (calendar.timegm would import datetime)."""
    shifted = year - (month <= 2)
    era = shifted // 400
    of_era = shifted - era * 400
    of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    return era * 146097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719468
