"""Finds an engine's processes without asking it: by the unix sockets they hold below its directory, and by their titles."""

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Process:
    """A process and what `ps` shows of it."""

    pid: int
    title: str


def holding_sockets_below(directory: str) -> list[Process]:
    """Processes that hold a unix socket bound below `directory`: daemon, launcher, monitors."""
    inodes = {f"socket:[{inode}]" for inode, path in _bound_sockets() if path.startswith(directory)}
    return [Process(pid, title(pid)) for pid in pids() if not inodes.isdisjoint(_descriptors(pid))]


def launchers(directory: str) -> list[Process]:
    """The launcher of the engine whose exec-root lies below `directory`."""
    return [one for one in holding_sockets_below(directory) if one.title.startswith("sampan-launcher")]


def monitors(directory: str) -> list[Process]:
    """Monitors of running containers, parked slots left out."""
    found = [one for one in holding_sockets_below(directory) if one.title.startswith("sampan-monitor")]
    return [one for one in found if "parked" not in one.title]


def pids() -> list[int]:
    """Every process there is now."""
    return [int(name) for name in os.listdir("/proc") if name.isdecimal()]


def title(pid: int) -> str:
    """The command line, blanks between words; empty where the process is gone or a zombie."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""


def _bound_sockets() -> list[tuple[str, str]]:
    lines = Path("/proc/net/unix").read_text(errors="replace").splitlines()[1:]
    fields = (line.split(None, 7) for line in lines)
    return [(field[6], field[7]) for field in fields if len(field) == 8]


def _descriptors(pid: int) -> set[str]:
    found = set()
    try:
        for name in os.listdir(f"/proc/{pid}/fd"):
            found.add(os.readlink(f"/proc/{pid}/fd/{name}"))
    except OSError:
        pass  # it ended, or let go of that one, while we looked
    return found
