"""What a registry says of how much one may still ask of it: Docker Hub's `RateLimit-Limit: 100;w=21600`."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

_VALUE = re.compile(r"(\d{1,9})(?:;w=(\d{1,9}))?")


@dataclass(frozen=True, slots=True)
class RateLimit:
    """Of `limit` pulls in `window` seconds `remaining` are left. None: the registry has not said."""

    limit: int | None = None
    remaining: int | None = None
    window: int | None = None
    source: str = ""
    """whom the registry counts it for, as it names them"""

    @property
    def is_low(self) -> bool:
        """Whether at most a tenth is left."""
        return self.remaining is not None and self.limit is not None and self.remaining * 10 <= self.limit

    def __str__(self) -> str:
        left = "" if self.remaining is None else f"{self.remaining} "
        whole = "" if self.limit is None else f"of {self.limit} "
        return f"{left}{whole}pulls left" + ("" if self.window is None else f" in {_spoken(self.window)}")


UNKNOWN = RateLimit()


def told(headers: Mapping[str, str]) -> RateLimit | None:
    """The limits in an answer's headers; None where it has none."""
    limit = _VALUE.match(headers.get("RateLimit-Limit", ""))
    remaining = _VALUE.match(headers.get("RateLimit-Remaining", ""))
    if limit is None and remaining is None:
        return None
    window = next((int(found[2]) for found in (limit, remaining) if found is not None and found[2]), None)
    source = headers.get("Docker-RateLimit-Source", "")[:100]
    return RateLimit(
        int(limit[1]) if limit else None,
        int(remaining[1]) if remaining else None,
        window,
        source if source.isprintable() else "",
    )


def about_refusal(headers: Mapping[str, str], again: float) -> str:
    """What the headers of a 429 say beyond its words, "" where they say nothing. `again`: the seconds of its Retry-After."""
    parts = []
    limit = told(headers)
    if limit is not None and limit.limit is not None:
        parts.append(f"{limit.limit} pulls" + (f" in {_spoken(limit.window)}" if limit.window else "") + " are allowed")
    if again > 0:
        parts.append(f"ask again in {_spoken(math.ceil(again))}")
    return ", ".join(parts)


def _spoken(seconds: int) -> str:
    for name, unit in (("hour", 3600), ("minute", 60)):
        if seconds >= unit and seconds % unit == 0:
            return f"{seconds // unit} {name}" + ("s" if seconds != unit else "")
    return f"{seconds} second" + ("s" if seconds != 1 else "")
