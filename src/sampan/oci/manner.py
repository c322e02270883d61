"""How a bundle's program is to be run: scheduler, I/O priority, processors, personality, memory nodes, clocks.

What a process hands on to its children is set before the birth, by who then bears it (`inherit`); what can be set on another
process is set from outside, with the host's rights and not the container's (`give`).
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace

from sampan.errors import InvalidParameter, System
from sampan.kernel.namespaces import Clone, unshare
from sampan.kernel.scheduling import ioprio_set, personality, sched_setattr, set_mempolicy
from sampan.oci import documents

POLICIES = {"SCHED_OTHER": 0, "SCHED_FIFO": 1, "SCHED_RR": 2, "SCHED_BATCH": 3, "SCHED_IDLE": 5, "SCHED_DEADLINE": 6}
SCHEDULER_FLAGS = {
    "SCHED_FLAG_RESET_ON_FORK": 0x01,
    "SCHED_FLAG_RECLAIM": 0x02,
    "SCHED_FLAG_DL_OVERRUN": 0x04,
    "SCHED_FLAG_KEEP_POLICY": 0x08,
    "SCHED_FLAG_KEEP_PARAMS": 0x10,
}
IO_CLASSES = {"IOPRIO_CLASS_RT": 1, "IOPRIO_CLASS_BE": 2, "IOPRIO_CLASS_IDLE": 3}
DOMAINS = {"LINUX": 0x0000, "LINUX32": 0x0008}
MEMORY_MODES = {
    "MPOL_DEFAULT": 0,
    "MPOL_PREFERRED": 1,
    "MPOL_BIND": 2,
    "MPOL_INTERLEAVE": 3,
    "MPOL_LOCAL": 4,
    "MPOL_PREFERRED_MANY": 5,
    "MPOL_WEIGHTED_INTERLEAVE": 6,
}
MEMORY_FLAGS = {"MPOL_F_NUMA_BALANCING": 1 << 13, "MPOL_F_RELATIVE_NODES": 1 << 14, "MPOL_F_STATIC_NODES": 1 << 15}
CLOCKS = ("monotonic", "boottime")
_LONGEST_NUMBER = 4
"""Digits: kernels have at most 8192 processors."""


@dataclass(frozen=True, slots=True)
class Scheduler:
    """The arguments of sched_setattr(2)."""

    policy: int
    flags: int
    nice: int
    priority: int
    times: tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Manner:
    """None, and nothing, leave what this process itself has."""

    scheduler: Scheduler | None = None
    io: tuple[int, int] | None = None
    initial: frozenset[int] = frozenset()
    """processors of an exec's process while it enters the container"""
    final: frozenset[int] = frozenset()
    """and those of its program"""
    personality: int | None = None
    memory: tuple[int, frozenset[int]] | None = None
    clocks: tuple[tuple[str, int, int], ...] | None = None
    """offsets of a new time namespace's clocks: name, seconds, nanoseconds; () for such a namespace without any"""

    def inherit(self) -> None:
        """Be what the children of this process are to be. Raises System."""
        try:
            if self.clocks is not None:
                _make_clocks(self.clocks)
            if self.personality is not None:
                personality(self.personality)
            if self.memory is not None:
                set_mempolicy(*self.memory)
            if self.initial:
                os.sched_setaffinity(0, self.initial)
        except OSError as error:
            raise System(f"error setting how the program is run: {error}") from error

    def give(self, pid: int) -> None:
        """Set on a process what can be set from outside. Raises System."""
        try:
            if self.scheduler is not None:
                asked = self.scheduler
                sched_setattr(pid, asked.policy, asked.flags, asked.nice, asked.priority, asked.times)
            if self.io is not None:
                ioprio_set(pid, *self.io)
            if self.final:
                os.sched_setaffinity(pid, self.final)
        except OSError as error:
            raise System(f"error setting how the program is run: {error}") from error


def _make_clocks(clocks: tuple[tuple[str, int, int], ...]) -> None:
    """A time namespace for the children: its offsets can be set until the first of them is there (time_namespaces(7))."""
    unshare(Clone.NEWTIME)
    if clocks:
        descriptor = os.open("/proc/self/timens_offsets", os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(descriptor, "".join(f"{name} {secs} {nanosecs}\n" for name, secs, nanosecs in clocks).encode())
        finally:
            os.close(descriptor)


def of_process(asked: documents.Process, *, enters: bool = False) -> Manner:
    """What the process itself asks for; its processors only where it `enters` a container. Raises InvalidParameter."""
    affinity = asked.exec_cpu_affinity
    return Manner(
        scheduler=_scheduler(asked.scheduler) if asked.scheduler is not None else None,
        io=_io(asked.io_priority) if asked.io_priority is not None else None,
        initial=numbers(affinity.initial, "process.execCPUAffinity.initial") if affinity and enters else frozenset(),
        final=numbers(affinity.final, "process.execCPUAffinity.final") if affinity and enters else frozenset(),
    )


def of_container(process: documents.Process, linux: documents.Linux) -> Manner:
    """What process and container ask for. Raises InvalidParameter."""
    return replace(
        of_process(process),
        personality=domain(linux),
        memory=_memory(linux.memory_policy) if linux.memory_policy is not None else None,
        clocks=_clocks(linux),
    )


def of_exec(process: documents.Process, linux: documents.Linux) -> Manner:
    """What a further process in the container asks for, with what it has in common with the first. Raises InvalidParameter."""
    return replace(of_process(process, enters=True), personality=domain(linux))


def domain(linux: documents.Linux) -> int | None:
    """The personality, None for the host's. Raises InvalidParameter."""
    asked = linux.personality
    if asked is None:
        return None
    if asked.flags:
        raise InvalidParameter("linux.personality: flags are not supported")
    return _number(DOMAINS, asked.domain, "linux.personality.domain")


def _number(known: Mapping[str, int], name: str, what: str) -> int:
    if name not in known:
        raise InvalidParameter(f"{what}: invalid value {name[:40]!r}")
    return known[name]


def _bits(known: Mapping[str, int], names: tuple[str, ...] | None, what: str) -> int:
    return sum({_number(known, name, what) for name in names or ()})


def _scheduler(asked: documents.Scheduler) -> Scheduler:
    policy = _number(POLICIES, asked.policy, "process.scheduler.policy")
    if asked.priority and asked.policy not in ("SCHED_FIFO", "SCHED_RR"):
        raise InvalidParameter("process.scheduler.priority can only be specified for SCHED_FIFO or SCHED_RR")
    if asked.nice and asked.policy not in ("SCHED_OTHER", "SCHED_BATCH"):
        raise InvalidParameter("process.scheduler.nice can only be specified for SCHED_OTHER or SCHED_BATCH")
    times = (asked.runtime, asked.deadline, asked.period)
    if any(times) and asked.policy != "SCHED_DEADLINE":
        raise InvalidParameter(
            "process.scheduler: runtime, deadline and period can only be specified for SCHED_DEADLINE"
        )
    flags = _bits(SCHEDULER_FLAGS, asked.flags, "process.scheduler.flags")
    return Scheduler(policy, flags, asked.nice, asked.priority, times)


def _io(asked: documents.IoPriority) -> tuple[int, int]:
    return _number(IO_CLASSES, asked.io_class, "process.ioPriority.class"), asked.priority


def _memory(asked: documents.MemoryPolicy) -> tuple[int, frozenset[int]]:
    mode = _number(MEMORY_MODES, asked.mode, "linux.memoryPolicy.mode")
    flags = _bits(MEMORY_FLAGS, asked.flags, "linux.memoryPolicy.flags")
    return mode | flags, numbers(asked.nodes, "linux.memoryPolicy.nodes")


def _clocks(linux: documents.Linux) -> tuple[tuple[str, int, int], ...] | None:
    asked = next((each for each in linux.namespaces or () if each.type == "time"), None)
    offsets = linux.time_offsets or {}
    if offsets and (asked is None or asked.path):
        raise InvalidParameter("linux.timeOffsets: there is no time namespace of the container's own")
    if unknown := set(offsets) - set(CLOCKS):
        raise InvalidParameter(f"linux.timeOffsets: {min(unknown)[:40]!r} is no clock that has an offset")
    if asked is None or asked.path:
        return None
    return tuple((name, offset.secs, offset.nanosecs) for name, offset in sorted(offsets.items()))


def numbers(text: str, what: str) -> frozenset[int]:
    """A list of the kernel's form, such as 0-3,7. Raises InvalidParameter."""
    found: set[int] = set()
    for part in text.split(",") if text else ():
        first, dash, last = part.strip().partition("-")
        ends = (first, last if dash else first)
        if not all(end.isascii() and end.isdecimal() and len(end) <= _LONGEST_NUMBER for end in ends):
            raise InvalidParameter(f"{what}: {text[:80]!r} is no list of numbers")
        if int(ends[0]) > int(ends[1]):
            raise InvalidParameter(f"{what}: {text[:80]!r} counts downwards")
        found.update(range(int(ends[0]), int(ends[1]) + 1))
    return frozenset(found)
