"""The columns of ps: their names, their usual titles, and what stands in them. Formats are procps' (ps(1))."""

import grp
import os
import pwd
import time
from collections.abc import Callable
from functools import lru_cache

from sampan.host.ps.process import Moment, Process

Cell = Callable[[Process, Moment], str]
_KILO = 1024
_PAGE = os.sysconf("SC_PAGE_SIZE")
_NAME_WIDTH = 8
_DAY = 24 * 3600
_POLICIES = {0: "TS", 1: "FF", 2: "RR", 3: "B", 4: "ISO", 5: "IDL", 6: "DLN"}
_REAL_TIME = (1, 2, 6)


def _user(number: int) -> str:
    return _fitting(_user_name(number))


def _group(number: int) -> str:
    return _fitting(_group_name(number))


def _fitting(name: str) -> str:
    return name if len(name) <= _NAME_WIDTH else name[: _NAME_WIDTH - 1] + "+"


@lru_cache(maxsize=256)
def _user_name(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


@lru_cache(maxsize=256)
def _group_name(number: int) -> str:
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)


def _stat(process: Process, _moment: Moment) -> str:
    marks = "<" if process.nice < 0 else "N" if process.nice > 0 else ""
    marks += "L" if process.locked else ""
    marks += "s" if process.session == process.pid else ""
    marks += "l" if process.threads > 1 else ""
    marks += "+" if process.terminal and process.terminal_group == process.group else ""
    return process.state + marks


def _terminal(process: Process, _moment: Moment) -> str:
    """The name that goes with the device number (proc_pid_stat(5), tty_nr)."""
    number = process.terminal
    major, minor = number >> 8 & 0xFFF, number & 0xFF | number >> 12 & 0xFFF00
    if 136 <= major <= 143:
        return f"pts/{minor + (major - 136) * 256}"
    if major == 4:
        return f"tty{minor}" if minor < 64 else f"ttyS{minor - 64}"
    return "console" if (major, minor) == (5, 1) else "?"


def _elapsed(process: Process, moment: Moment) -> int:
    return max(0, int(moment.since_boot - process.started))


def _cpu_share(process: Process, moment: Moment) -> float:
    """Per cent of one processor, over the process's whole life."""
    lived = moment.since_boot - process.started
    return 100 * process.used / lived if lived >= 1 else 0.0


def _percent(share: float) -> str:
    """Cut off, not rounded; without its decimal where that would take a fifth place."""
    tenths = int(share * 10)
    return f"{tenths // 10}.{tenths % 10}" if tenths < 1000 else str(tenths // 10)


def _clock(seconds: int, *, hours: bool) -> str:
    """`[[DD-]HH:]MM:SS`; with `hours` they are always there."""
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    days, hour = divmod(hour, 24)
    text = f"{minute:02}:{second:02}"
    if hours or hour or days:
        text = f"{hour:02}:{text}"
    return f"{days}-{text}" if days else text


def _started(process: Process, moment: Moment) -> time.struct_time:
    return time.localtime(moment.now - (moment.since_boot - process.started))


def _start_day(process: Process, moment: Moment) -> str:
    """The hour of today, the day of this year, or the year."""
    then, now = _started(process, moment), time.localtime(moment.now)
    if then.tm_year != now.tm_year:
        return str(then.tm_year)
    same_day = then.tm_yday == now.tm_yday
    return f"{then.tm_hour:02}:{then.tm_min:02}" if same_day else time.strftime("%b%d", then)


def _start_second(process: Process, moment: Moment) -> str:
    return time.strftime("%H:%M:%S" if _elapsed(process, moment) < _DAY else "%b %d", _started(process, moment))


def _start_minute(process: Process, moment: Moment) -> str:
    return time.strftime("%H:%M" if _elapsed(process, moment) < _DAY else "%b %d", _started(process, moment))


def _bsd_time(process: Process, _moment: Moment) -> str:
    return f"{int(process.used) // 60}:{int(process.used) % 60:02}"


def _of(attribute: str) -> Cell:
    return lambda process, _moment: str(getattr(process, attribute))


COLUMNS: dict[str, tuple[str, Cell]] = {
    "pid": ("PID", _of("pid")),
    "ppid": ("PPID", _of("ppid")),
    "tgid": ("TGID", _of("pid")),
    "lwp": ("LWP", _of("pid")),
    "tid": ("TID", _of("pid")),
    "spid": ("SPID", _of("pid")),
    "nlwp": ("NLWP", _of("threads")),
    "thcount": ("THCNT", _of("threads")),
    "pgid": ("PGID", _of("group")),
    "pgrp": ("PGRP", _of("group")),
    "sid": ("SID", _of("session")),
    "sess": ("SESS", _of("session")),
    "user": ("USER", lambda process, _: _user(process.uids[1])),
    "euser": ("EUSER", lambda process, _: _user(process.uids[1])),
    "uname": ("USER", lambda process, _: _user(process.uids[1])),
    "ruser": ("RUSER", lambda process, _: _user(process.uids[0])),
    "uid": ("UID", lambda process, _: str(process.uids[1])),
    "euid": ("EUID", lambda process, _: str(process.uids[1])),
    "ruid": ("RUID", lambda process, _: str(process.uids[0])),
    "gid": ("GID", lambda process, _: str(process.gids[1])),
    "egid": ("EGID", lambda process, _: str(process.gids[1])),
    "rgid": ("RGID", lambda process, _: str(process.gids[0])),
    "group": ("GROUP", lambda process, _: _group(process.gids[1])),
    "egroup": ("EGROUP", lambda process, _: _group(process.gids[1])),
    "rgroup": ("RGROUP", lambda process, _: _group(process.gids[0])),
    "comm": ("COMMAND", _of("comm")),
    "ucomm": ("COMMAND", _of("comm")),
    "ucmd": ("CMD", _of("comm")),
    "args": ("COMMAND", _of("arguments")),
    "command": ("COMMAND", _of("arguments")),
    "cmd": ("CMD", _of("arguments")),
    "etime": ("ELAPSED", lambda process, moment: _clock(_elapsed(process, moment), hours=False)),
    "etimes": ("ELAPSED", lambda process, moment: str(_elapsed(process, moment))),
    "time": ("TIME", lambda process, _: _clock(int(process.used), hours=True)),
    "cputime": ("TIME", lambda process, _: _clock(int(process.used), hours=True)),
    "cputimes": ("TIME", lambda process, _: str(int(process.used))),
    "times": ("TIME", lambda process, _: str(int(process.used))),
    "bsdtime": ("TIME", _bsd_time),
    "stime": ("STIME", _start_day),
    "start_time": ("START", _start_day),
    "start": ("STARTED", _start_second),
    "bsdstart": ("START", _start_minute),
    "lstart": ("STARTED", lambda process, moment: time.strftime("%a %b %e %H:%M:%S %Y", _started(process, moment))),
    "tty": ("TT", _terminal),
    "tt": ("TT", _terminal),
    "tname": ("TTY", _terminal),
    "stat": ("STAT", _stat),
    "s": ("S", _of("state")),
    "state": ("S", _of("state")),
    "vsz": ("VSZ", lambda process, _: str(process.size // _KILO)),
    "vsize": ("VSZ", lambda process, _: str(process.size // _KILO)),
    "sz": ("SZ", lambda process, _: str(process.size // _PAGE)),
    "rss": ("RSS", lambda process, _: str(process.resident // _KILO)),
    "rssize": ("RSS", lambda process, _: str(process.resident // _KILO)),
    "rsz": ("RSZ", lambda process, _: str(process.resident // _KILO)),
    "pcpu": ("%CPU", lambda process, moment: _percent(_cpu_share(process, moment))),
    "%cpu": ("%CPU", lambda process, moment: _percent(_cpu_share(process, moment))),
    "c": ("C", lambda process, moment: str(min(99, int(_cpu_share(process, moment))))),
    "pmem": ("%MEM", lambda process, moment: _percent(100 * process.resident / moment.memory)),
    "%mem": ("%MEM", lambda process, moment: _percent(100 * process.resident / moment.memory)),
    "nice": ("NI", lambda process, _: "-" if process.policy in _REAL_TIME else str(process.nice)),
    "ni": ("NI", lambda process, _: "-" if process.policy in _REAL_TIME else str(process.nice)),
    "pri": ("PRI", lambda process, _: str(39 - process.priority)),
    "psr": ("PSR", _of("processor")),
    "cls": ("CLS", lambda process, _: _POLICIES.get(process.policy, "?")),
    "class": ("CLS", lambda process, _: _POLICIES.get(process.policy, "?")),
    "rtprio": ("RTPRIO", lambda process, _: str(process.rt_priority) if process.policy in _REAL_TIME else "-"),
    "f": ("F", lambda process, _: str(process.flags >> 6 & 7)),
    "flags": ("F", lambda process, _: str(process.flags >> 6 & 7)),
    "wchan": ("WCHAN", lambda process, _: process.waits_in if process.waits_in not in ("", "0") else "-"),
}
"""By the name that -o takes: the title, and what stands below it."""
