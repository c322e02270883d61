"""The daemon's own log: one line for each event on stderr, as text or JSON."""

import logging
import sys
from collections import deque

from sampan.telemetry import lines, request_id

_LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "error": logging.ERROR,
    "fatal": logging.CRITICAL,
}
_NAMES = {10: "debug", 20: "info", 30: "warning", 40: "error", 50: "fatal"}
_REMEMBERED = 256
_LONGEST_REMEMBERED = 2048
_recent: deque[str] = deque(maxlen=_REMEMBERED)


class _Line(logging.Formatter):
    """`time="…" level=info msg="…" request=…`, a traceback's lines joined into the one."""

    def __init__(self, form: str) -> None:
        super().__init__()
        self._form = form

    def format(self, record: logging.LogRecord) -> str:
        message = record.getMessage()
        if record.exc_info:
            message += " | " + self.formatException(record.exc_info)
        level = _NAMES.get(record.levelno, "info")
        line = lines.compose(level, message, int(record.created * 1e9), self._form, request_id.current())
        _recent.append(line[:_LONGEST_REMEMBERED])
        return line


def recent() -> str:
    """The last lines that this process wrote, each cut at two kilobytes: for `system debug`, wherever the log itself goes."""
    return "".join(f"{line}\n" for line in tuple(_recent))


def set_up(level: str, form: str, *, debug: bool) -> None:
    """Send every room's log lines of `level` and above to stderr. Called once, by `sampand`."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Line(form))
    logging.getLogger().handlers[:] = [handler]
    use_level(level, debug=debug)
    # asyncio's own debug lines say nothing about containers.
    logging.getLogger("asyncio").setLevel(logging.WARNING)


def use_level(level: str, *, debug: bool) -> None:
    """Say what is of `level` and above, everything with `debug`. Lines of errors are made in any case, for `exhausted`."""
    least = logging.DEBUG if debug else _LEVELS[level]
    root = logging.getLogger()
    root.handlers[0].setLevel(least)
    root.setLevel(min(least, logging.ERROR))
