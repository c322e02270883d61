"""One process as /proc tells of it. Everything is read through one descriptor, so that a pid used again mixes nothing up."""

import os
import time
from dataclasses import dataclass

_MOST_ARGUMENTS = 32 * 1024
"""Bytes of a command line that are shown."""
_MOST_TEXT = 16 * 1024
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Moment:
    """When processes are looked at: seconds since the epoch and since the boot; `memory` is the machine's, in bytes."""

    now: float
    since_boot: float
    memory: int

    @classmethod
    def current(cls) -> "Moment":
        """This one."""
        return cls(time.time(), time.clock_gettime(time.CLOCK_BOOTTIME), os.sysconf("SC_PHYS_PAGES") * _PAGE)


@dataclass(frozen=True, slots=True)
class Process:
    """What ps shows of a process. Times in seconds (`started` since the boot), sizes in bytes, ids as the host counts them."""

    pid: int
    comm: str
    state: str
    ppid: int
    group: int
    session: int
    terminal: int
    terminal_group: int
    flags: int
    used: float
    priority: int
    nice: int
    threads: int
    started: float
    size: int
    resident: int
    processor: int
    rt_priority: int
    policy: int
    uids: tuple[int, int]
    """real, effective"""
    gids: tuple[int, int]
    locked: bool
    """whether it has pages locked in memory"""
    arguments: str
    """the command line; `[comm]` where it has none (kernel threads, zombies)"""
    waits_in: str
    """the kernel function in which it sleeps"""


def read(pid: int) -> Process | None:
    """The process; None where there is none (any more)."""
    try:
        directory = os.open(f"/proc/{pid}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except (FileNotFoundError, ProcessLookupError):
        return None
    try:
        return _parse(
            pid,
            _file(directory, "stat", _MOST_TEXT),
            _file(directory, "status", _MOST_TEXT),
            _file(directory, "cmdline", _MOST_ARGUMENTS),
            _file(directory, "wchan", 128),
        )
    except (FileNotFoundError, ProcessLookupError):
        return None
    finally:
        os.close(directory)


def _file(directory: int, name: str, limit: int) -> bytes:
    descriptor = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=directory)
    try:
        return os.read(descriptor, limit)
    finally:
        os.close(descriptor)


def _parse(pid: int, stat: bytes, status: bytes, command_line: bytes, wchan: bytes) -> Process:
    # The name may itself hold blanks and parentheses: the last one closes it (proc_pid_stat(5)).
    head, _, tail = stat.rpartition(b") ")
    fields = tail.split()
    comm = printable(head.partition(b" (")[2])
    numbers = [int(field) for field in fields[1:]]
    # Not splitlines: a name may hold a carriage return, and a line of its own would follow it.
    facts = dict(line.split(b":", 1) for line in status.split(b"\n") if b":" in line)
    state = fields[0].decode()
    arguments = printable(command_line.rstrip(b"\0").replace(b"\0", b" ")) or f"[{comm}]"
    defunct = " <defunct>" if state == "Z" else ""
    return Process(
        pid=pid,
        comm=comm + defunct,
        state=state,
        ppid=numbers[0],
        group=numbers[1],
        session=numbers[2],
        terminal=numbers[3],
        terminal_group=numbers[4],
        flags=numbers[5],
        used=(numbers[10] + numbers[11]) / _TICKS,
        priority=numbers[14],
        nice=numbers[15],
        threads=numbers[16],
        started=numbers[18] / _TICKS,
        size=numbers[19],
        # Not the one of stat, which lags behind by what each processor has not added to it yet.
        resident=int(facts.get(b"VmRSS", b"0").split()[0]) * 1024,
        processor=numbers[35],
        rt_priority=numbers[36],
        policy=numbers[37],
        uids=_pair(facts.get(b"Uid", b"0 0")),
        gids=_pair(facts.get(b"Gid", b"0 0")),
        locked=int(facts.get(b"VmLck", b"0").split()[0]) > 0,
        arguments=arguments + defunct,
        waits_in=printable(wchan),
    )


def _pair(text: bytes) -> tuple[int, int]:
    real, effective = text.split()[:2]
    return int(real), int(effective)


def printable(data: bytes) -> str:
    """Text on one line: whatever a process has put there that is neither character nor blank becomes a question mark."""
    text = data.decode("utf-8", "replace")
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else " " if letter in "\n\t" else "?" for letter in text)
