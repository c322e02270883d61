"""Durations as Go writes them: `1m30s`, `1.5h`, `300ms`."""

import re

_UNITS = {"ns": 1, "us": 10**3, "µs": 10**3, "μs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)([^\d.]*)", re.ASCII)
_LONGEST = (1 << 63) - 1


def parse_duration(text: str) -> int:
    """Nanoseconds; never negative where `text` has no sign. Raises ValueError in Go's wording."""
    shown = '"' + text[:100] + '"'
    sign = -1 if text.startswith("-") else 1
    rest = text[1:] if text[:1] in ("-", "+") else text
    if rest == "0":
        return 0
    total, at = 0, 0
    while at < len(rest):
        part = _PART.match(rest, at)
        if part is None or len(part[1]) > 40:
            raise ValueError(f"time: invalid duration {shown}")
        if not part[2]:
            raise ValueError(f"time: missing unit in duration {shown}")
        if part[2] not in _UNITS:
            raise ValueError(f'time: unknown unit "{part[2][:20]}" in duration {shown}')
        whole, _, fraction = part[1].partition(".")
        unit = _UNITS[part[2]]
        total += int(whole or 0) * unit + int(fraction or 0) * unit // 10 ** len(fraction)
        at = part.end()
    if not rest or total > _LONGEST:
        raise ValueError(f"time: invalid duration {shown}")
    return sign * total
