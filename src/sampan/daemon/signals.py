"""Signals by the names that Docker takes: `KILL`, `SIGKILL`, `9`, `RTMIN+3`."""

import signal

from sampan.errors import InvalidParameter

_LAST = 64
_BY_NAME = {entry.name.removeprefix("SIG"): int(entry) for entry in signal.Signals}
_BY_NAME.update({"CLD": int(signal.SIGCHLD), "POLL": int(signal.SIGIO), "IOT": int(signal.SIGABRT)})


def parse_signal(text: str) -> int:
    """The number of a signal. Raises InvalidParameter in Docker's wording."""
    if text.isdecimal():
        number = int(text)
        if 0 < number <= _LAST:
            return number
        raise InvalidParameter(f"invalid signal: {text}")
    name = text.upper().removeprefix("SIG")
    number = _BY_NAME.get(name) or _real_time(name)
    if not number:
        raise InvalidParameter(f"invalid signal: {text}")
    return number


def _real_time(name: str) -> int:
    for start, sign in (("RTMIN+", 1), ("RTMAX-", -1)):
        offset = name.removeprefix(start)
        if name.startswith(start) and offset.isdecimal() and int(offset) <= signal.SIGRTMAX - signal.SIGRTMIN:
            return int(signal.SIGRTMIN if sign > 0 else signal.SIGRTMAX) + sign * int(offset)
    return 0
