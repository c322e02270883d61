"""What a registry says of how much one may still ask of it: Docker Hub's `RateLimit-Limit: 100;w=21600`."""

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
