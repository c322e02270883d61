"""One line of the engine's log, from whichever of its processes: `time="…" level=error msg="…"`, or the same as JSON.

What a process that is no daemon has to tell goes to its standard error, which it has from the daemon: the same log. Passwords
in URLs are masked in every line, as Docker does.

Loaded by the launcher.
"""

from __future__ import annotations

import json
import re
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

TEXT, JSON = "text", "json"
LONGEST = 16 * 1024
"""Characters of a message; what is longer is cut."""

_PASSWORD = re.compile(r"(\w[\w.+-]*://)[^\s/'\"]*@")
_form = TEXT
_who = ""
_request = ""


def use(form: str) -> None:
    """Write lines as `TEXT` or `JSON` from now on. For processes that are no daemon, once at their start."""
    global _form
    _form = form


def form() -> str:
    """What `use` was told, for a process that becomes another program."""
    return _form


def speak_as(who: str, request: str = "") -> None:
    """From now on this process's lines begin with `who` and bear the id of the request that it serves."""
    global _who, _request
    _who, _request = who, request


def masked(text: str) -> str:
    """`https://user:word@host` → `https://xxxxx:xxxxx@host`, wherever one stands in `text`."""
    return _PASSWORD.sub(r"\1xxxxx:xxxxx@", text) if "://" in text else text


def compose(level: str, message: str, at_ns: int, form: str, request: str = "") -> str:
    """The line, without its end. `request`: the id of the request that it is about, "" for none. `at_ns`: of CLOCK_REALTIME."""
    if len(message) > LONGEST:
        message = f"{message[:LONGEST]}… ({len(message)} characters)"
    message = masked(message)
    seconds, rest = divmod(at_ns, 10**9)
    at = time.gmtime(seconds)
    # Not by strftime, which looks for the host's time zone where a confined process may not.
    when = f"{at.tm_year}-{at.tm_mon:02}-{at.tm_mday:02}T{at.tm_hour:02}:{at.tm_min:02}:{at.tm_sec:02}.{rest:09d}Z"
    if form == JSON:
        line = {"level": level, "msg": message, "time": when}
        return json.dumps({**line, "request": request} if request else line)
    about = f" request={request}" if request else ""
    return f'time="{when}" level={level} msg={json.dumps(message)}{about}'


def say(level: str, message: str) -> None:
    """Write a line to standard error. It is lost where nobody holds the other end any more: its writer must go on."""
    line = compose(level, f"{_who}: {message}", time.time_ns(), _form, _request) + "\n"
    try:
        sys.stderr.write(line)
        sys.stderr.flush()
    except OSError:
        return


def broken(error: BaseException) -> None:
    """Tell of a fault of ours, with the places that it came by; without `traceback`, which is large."""
    places: list[str] = []
    at: TracebackType | None = error.__traceback__
    while at is not None:
        code = at.tb_frame.f_code
        places.append(f"{code.co_filename}:{at.tb_lineno} {code.co_name}")
        at = at.tb_next
    say("error", f"{type(error).__name__}: {error} | {' > '.join(places)}")
