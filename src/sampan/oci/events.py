"""`events`: what a container uses, and that the kernel has killed in it, as lines of JSON in runc's form."""

import json
import time
from collections.abc import Iterable

from sampan.cgroups import apply as groups
from sampan.cgroups.gauges import Gauges
from sampan.cgroups.usage import Transfer, Usage
from sampan.errors import Conflict, InvalidParameter, System
from sampan.oci import command_line
from sampan.oci.containers import Container, Kept
from sampan.oci.options import Parsed

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_SHORTEST, _LONGEST = 0.1, 24 * 3600.0
_LOOKS = 1.0
"""Seconds between two looks at whether it runs, and whether something was killed."""


def events(first: Parsed, given: Parsed) -> int:
    """With `--stats` one sample; else one for each interval until the container ends, and a line where memory was wanting."""
    container = command_line.container(first, given.only("the container's ID"))
    kept = container.load()
    if container.status(kept) == "stopped":
        raise Conflict("container with id is not running")
    if not kept.groups:
        raise System(f"{container.name} has no control groups, and so nothing is counted")
    if given.flag("stats"):
        _say(container, "stats", _sample(kept))
        return 0
    _follow(container, kept, seconds(given.text("interval", "5s")))
    return 0


def seconds(text: str) -> float:
    """A duration such as 500ms, 5s, 1m. Raises InvalidParameter."""
    number = text.rstrip("abcdefghijklmnopqrstuvwxyz")
    unit = _UNITS.get(text[len(number) :])
    if unit is None or not number.isascii() or not number.isdecimal() or len(number) > 6:
        raise InvalidParameter(f"--interval {text[:40]!r} is no duration such as 5s")
    return min(max(int(number) * unit, _SHORTEST), _LONGEST)


def _follow(container: Container, kept: Kept, interval: float) -> None:
    killed, due = groups.oom_kills(kept.groups), time.monotonic() + interval
    while container.status(kept) != "stopped":
        time.sleep(max(min(due - time.monotonic(), _LOOKS), 0))
        now = groups.oom_kills(kept.groups)
        if now > killed:
            _say(container, "oom", None)
        killed = now
        if time.monotonic() >= due:
            due += interval
            _say(container, "stats", _sample(kept))


def _say(container: Container, kind: str, data: object) -> None:
    line = {"type": kind, "id": container.name, **({"data": data} if data is not None else {})}
    print(json.dumps(line), flush=True)


def _sample(kept: Kept) -> dict[str, object]:
    gauges = Gauges(kept.groups)
    try:
        return shown(gauges.read())
    except OSError as error:
        raise Conflict("container with id is not running") from error
    finally:
        gauges.close()


def shown(usage: Usage) -> dict[str, object]:
    """A sample in runc's form (its types/events.go)."""
    return {
        "cpu": {
            "usage": {
                "total": usage.cpu_total,
                "percpu": list(usage.cpu_each or ()),
                "kernel": usage.cpu_kernel,
                "user": usage.cpu_user,
            },
            "throttling": {
                "periods": usage.periods,
                "throttledPeriods": usage.throttled_periods,
                "throttledTime": usage.throttled_time,
            },
        },
        "memory": {
            "cache": usage.memory_details.get("cache", usage.memory_details.get("file", 0)),
            "usage": {
                "limit": usage.memory_limit,
                "usage": usage.memory,
                "max": usage.memory_peak,
                "failcnt": usage.memory_failures,
            },
            "raw": usage.memory_details,
        },
        "pids": {"current": usage.processes, "limit": usage.processes_limit},
        "blkio": {
            "ioServiceBytesRecursive": _transfers(usage.transfers),
            "ioServicedRecursive": _transfers(usage.operations or ()),
        },
    }


def _transfers(rows: Iterable[Transfer]) -> list[dict[str, object]]:
    return [{"major": major, "minor": minor, "op": what, "value": value} for major, minor, what, value in rows]
