"""What the machine itself costs and holds: moves between control groups, memory of processes."""

import os
import signal
import time
from pathlib import Path

from bench.samples import Samples
from tests.leaks import hierarchies


def idle_moves() -> dict[str, Samples]:
    """The cost of moving one process into another group, alone on a quiet tree: ten samples, pauses between (RCU)."""
    found = {}
    for name, tree in _trees().items():
        groups = [Path(tree) / f"sampan-bench-{os.getpid()}-{number}" for number in (1, 2)]
        for group in groups:
            group.mkdir()
        child = os.fork()
        if child == 0:
            signal.pause()
            os._exit(0)
        try:
            found[name] = Samples(tuple(_move(child, groups[turn % 2]) for turn in range(11))[1:])
        finally:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            for group in groups:
                group.rmdir()
    return found


def _move(pid: int, group: Path) -> float:
    time.sleep(0.1)
    with open(group / "cgroup.procs", "w") as procs:
        began = time.perf_counter()
        procs.write(str(pid))
        procs.flush()
        return time.perf_counter() - began


def _trees() -> dict[str, str]:
    trees = {}
    for tree in hierarchies():
        unified = os.path.exists(os.path.join(tree, "cgroup.controllers"))
        if unified or tree.endswith("/pids"):
            trees["v2" if unified else "v1 (pids)"] = tree
    return trees


def processes_of(root_pid: int, mark: str) -> set[int]:
    """`root_pid`, its descendants, and every process whose arguments name the directory `mark`."""
    parents = {pid: _parent(pid) for pid in _pids()}
    found = {pid for pid in parents if _arguments_name(pid, mark)} | {root_pid}
    grown = True
    while grown:
        children = {pid for pid, parent in parents.items() if parent in found} - found
        found |= children
        grown = bool(children)
    return found & parents.keys()


def pss(pids: set[int]) -> int:
    """Bytes of proportional set size, summed; processes that are gone count nothing."""
    total = 0
    for pid in pids:
        try:
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1]) * 1024
        except OSError:
            continue
    return total


def processor_time(pids: set[int]) -> float:
    """Seconds of processor time that the processes have spent so far; those that are gone count nothing."""
    ticks = 0
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
        except (OSError, IndexError):
            continue
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdecimal()]


def _parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()[1])
    except (OSError, IndexError):
        return 0


def _arguments_name(pid: int, mark: str) -> bool:
    try:
        return mark.encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
