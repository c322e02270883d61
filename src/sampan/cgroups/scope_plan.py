"""Where systemd's scopes and slices are in the trees, and what of a container's limits systemd is told. Pure.

systemd is told what it knows of, so that it writes the same as we do when it writes again (a reload); the rest (single disks, OOM,
devices, control files by name) is in the group's own files alone, as runc has it.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from sampan.cgroups.conversions import weight
from sampan.errors import InvalidParameter
from sampan.spec import oci_runtime as oci

DEFAULT_SLICE = "system.slice"
_SUFFIX = ".slice"
_INFINITY = (1 << 64) - 1
_SECOND = 1_000_000
_PERCENT = 10_000
"""Microseconds in a second: systemd keeps quotas in whole per cent of a processor, and rounds down."""
_DEFAULT_PERIOD = 100_000

Property = tuple[str, str, object]
"""Name, D-Bus signature, value."""


@dataclass(frozen=True, slots=True)
class Scope:
    """A transient unit to be started before the groups are used."""

    unit: str
    properties: tuple[Property, ...]
    """all of them, for its start"""
    limits: tuple[Property, ...]
    """those that an update may change"""


def unit_name(container_id: str, prefix: str = "docker") -> str:
    """A container's scope. The prefix `docker` is Docker's own; without one the id is the whole name."""
    return f"{prefix}-{container_id}.scope" if prefix else f"{container_id}.scope"


def container_of(unit: str) -> str:
    """The container whose scope that is; "" for another unit."""
    if not unit.startswith("docker-") or not unit.endswith(".scope"):
        return ""
    return unit.removeprefix("docker-").removesuffix(".scope")


def slice_names(parent: str) -> list[str]:
    """The directories that lead to a slice: `a-b.slice` lies in `a.slice` (systemd.slice(5)). Raises InvalidParameter."""
    name = parent or DEFAULT_SLICE
    stem = name.removesuffix(_SUFFIX)
    if name == "-.slice":
        return []
    words = stem.split("-")
    if stem == name or not all(words) or "/" in name or not name.isprintable() or len(name) > 255:
        raise InvalidParameter('cgroup-parent for systemd cgroup should be a valid slice named as "xxx.slice"')
    return ["-".join(words[:count]) + _SUFFIX for count in range(1, len(words) + 1)]


def scope(container_id: str, parent: str, resources: oci.Resources, *, v2: bool, prefix: str = "docker") -> Scope:
    """The unit of one container. `parent` is a slice, "" for system.slice."""
    limits = tuple(_limits(resources, v2=v2))
    accounting = ("CPUAccounting", "MemoryAccounting", "TasksAccounting", "IOAccounting" if v2 else "BlockIOAccounting")
    properties: tuple[Property, ...] = (
        ("Description", "s", f"sampan container {container_id}"),
        ("Slice", "s", parent or DEFAULT_SLICE),
        ("Delegate", "b", True),
        ("DefaultDependencies", "b", False),
        ("CollectMode", "s", "inactive-or-failed"),
        *((name, "b", True) for name in accounting),
        *limits,
    )
    return Scope(unit_name(container_id, prefix), properties, limits)


def _limits(resources: oci.Resources, *, v2: bool) -> Iterator[Property]:
    # systemd has a limit of processes for units that name none.
    pids = resources.pids_limit
    yield "TasksMax", "t", pids if pids is not None and pids > 0 else _INFINITY
    yield from _memory(resources.memory, v2=v2)
    yield from _cpu(resources.cpu, v2=v2)


def _memory(memory: oci.Memory, *, v2: bool) -> Iterator[Property]:
    if memory.limit:
        yield "MemoryMax" if v2 else "MemoryLimit", "t", _bytes(memory.limit)
    if v2 and memory.reservation:
        yield "MemoryLow", "t", _bytes(memory.reservation)
    if v2 and memory.swap and memory.limit:
        swap = -1 if -1 in (memory.swap, memory.limit) else memory.swap - memory.limit
        yield "MemorySwapMax", "t", _bytes(max(swap, -1))


def _cpu(cpu: oci.Cpu, *, v2: bool) -> Iterator[Property]:
    if cpu.shares:
        yield ("CPUWeight", "t", weight(cpu.shares)) if v2 else ("CPUShares", "t", cpu.shares)
    if cpu.period:
        yield "CPUQuotaPeriodUSec", "t", cpu.period
    if cpu.quota or cpu.period:
        yield "CPUQuotaPerSecUSec", "t", _quota(cpu.quota or -1, cpu.period or _DEFAULT_PERIOD)
    if v2:
        for name, asked in (("AllowedCPUs", cpu.cpus), ("AllowedMemoryNodes", cpu.mems)):
            if asked:
                yield name, "ay", list(_bits(asked))


def _quota(quota: int, period: int) -> int:
    if quota < 0:
        return _INFINITY
    per_second = quota * _SECOND // period
    return -(-per_second // _PERCENT) * _PERCENT


def _bytes(value: int) -> int:
    return _INFINITY if value < 0 else value


def _bits(text: str) -> bytes:
    """A list of numbers as the bits of a little-endian number."""
    found = 0
    for part in text.split(","):
        first, _, last = part.partition("-")
        for number in range(int(first), int(last or first) + 1):
            found |= 1 << number
    return found.to_bytes((found.bit_length() + 7) // 8 or 1, "little")
