"""How much time all processors together have spent, and how many there are."""

import os

_ROOM = 64 * 1024
_COUNTED = 7
"""Columns that Docker adds up: user, nice, system, idle, iowait, irq, softirq (proc_stat(5))."""


class ProcessorTime:
    """/proc/stat, kept open."""

    __slots__ = ("_descriptor", "_tick")

    def __init__(self) -> None:
        self._descriptor = os.open("/proc/stat", os.O_RDONLY | os.O_CLOEXEC)
        self._tick = 10**9 // os.sysconf("SC_CLK_TCK")

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._descriptor)

    def read(self) -> tuple[int, int]:
        """Nanoseconds of all processors together, idle ones included, and the number of those that are online."""
        ticks, count = parse(os.pread(self._descriptor, _ROOM, 0).decode("ascii", "replace"))
        return ticks * self._tick, count


def parse(text: str) -> tuple[int, int]:
    """Clock ticks and processors in /proc/stat: the line `cpu` sums up those of `cpu0` and so on, which come next."""
    first, *rest = text.split("\n")
    ticks = sum(map(int, first.split()[1 : _COUNTED + 1]))
    count = 0
    for line in rest:
        if not line.startswith("cpu"):
            break
        count += 1
    return ticks, count
