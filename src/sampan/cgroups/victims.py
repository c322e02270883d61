"""Whom the kernel killed for lack of memory, as its log tells (/dev/kmsg): the groups' own files only count.

One record has all of it (mm/oom_kill.c, since Linux 5.0), on v1 and v2 alike:

    oom-kill:constraint=CONSTRAINT_MEMCG,…,oom_memcg=/docker/…,task_memcg=/docker/…,task=sh,pid=1234,uid=0

The kernel writes at most ten of these in five seconds; what falls under that, and everything where the log may not be read (a
daemon in a container), has no name. A process chooses its name itself, so the record is read from its end.
"""

import errno
import os
import re
from collections import deque
from dataclasses import dataclass

from sampan.cgroups.scope_plan import unit_name

_ROOM = 8192
"""A record, with room for what follows its text."""
_MOST_RECORDS = 20_000
"""More than the kernel's ring can hold: a flood does not keep the daemon."""
_KEPT = 64
_KERNEL_LEVELS = 8
"""Priorities below this are the kernel's own; what programs write into the log has a facility above it."""
_RECORD = re.compile(
    r"oom-kill:constraint=\w+,.*,task_memcg=(?P<group>/.*),task=(?P<name>.*),pid=(?P<pid>\d+),uid=\d+\s*$"
)


@dataclass(frozen=True, slots=True)
class Victim:
    """One process that was killed: what it called itself (at most 15 bytes), and its pid as the host sees it."""

    group: str
    name: str
    pid: int

    def __str__(self) -> str:
        return f"{self.name} ({self.pid})"


def parse(record: str) -> Victim | None:
    """One record of /dev/kmsg (dev-kmsg in Documentation/ABI); None where it is about something else."""
    head, semicolon, text = record.partition(";")
    priority = head.partition(",")[0]
    if not semicolon or not priority.isdecimal() or int(priority) >= _KERNEL_LEVELS:
        return None
    match = _RECORD.match(text.partition("\n")[0])
    return Victim(match["group"], match["name"], int(match["pid"])) if match else None


class Victims:
    """The kernel's log from now on. Nothing is read before somebody asks."""

    def __init__(self) -> None:
        self._kept: deque[Victim] = deque(maxlen=_KEPT)
        try:
            self._log = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            os.lseek(self._log, 0, os.SEEK_END)
        except OSError:
            self._log = -1

    def take(self, container: str) -> list[Victim]:
        """Who was killed in groups of `container` (a directory of their path is its own) since the last time it was asked for."""
        found = self.known(container)
        for victim in found:
            self._kept.remove(victim)
        return found

    def known(self, container: str) -> list[Victim]:
        """Those whom `take` would tell."""
        self._read()
        own = {container, unit_name(container)}
        return [victim for victim in self._kept if not own.isdisjoint(victim.group.split("/"))]

    def _read(self) -> None:
        for _ in range(_MOST_RECORDS):
            try:
                record = os.read(self._log, _ROOM) if self._log >= 0 else b""
            except OSError as error:
                if error.errno == errno.EPIPE:
                    # What was next has been overwritten; the position is at the oldest now.
                    continue
                return
            if not record:
                return
            victim = parse(record.decode("utf-8", "replace"))
            if victim is not None:
                self._kept.append(victim)

    def close(self) -> None:
        """Read no more; again is allowed."""
        if self._log >= 0:
            os.close(self._log)
            self._log = -1
