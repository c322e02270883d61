"""From a container's resources to directories and writes: pure, the same answer for the same host.

Conversions from v1's units, in which OCI and Docker speak, to v2's are those of runc.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from sampan.cgroups import devices, raw, scope_plan
from sampan.cgroups.conversions import check_shares, io_weight, swap_alone, weight
from sampan.cgroups.groupfile import UNIFIED
from sampan.cgroups.hierarchy import Hierarchy, Mode
from sampan.errors import InvalidParameter, System
from sampan.spec import oci_runtime as oci

_DEFAULT_PERIOD = 100_000
_MOST_LEVELS = 16
_LONGEST_NAME = 255

SHARED = "docker"
"""Docker's own parent of all containers. Ours stand there, too."""

Write = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class CgroupPlan:
    """What `apply` does for one container.

    `groups` maps controller to absolute directory ("unified" is the v2 tree; on a v2 host it is the only one), `writes` are
    (controller, file, text) in order.
    """

    groups: dict[str, str]
    writes: tuple[Write, ...] = ()
    device_program: bytes = b""
    """the BPF program of the device rules where they are kept by the v2 tree, to be attached to its group"""
    mark: str = ""
    """the instance, to be written on groups that stand beside those of other engines"""
    scope: scope_plan.Scope | None = None
    """the unit that systemd is to start first, where it manages the groups"""


def plan(
    hierarchy: Hierarchy,
    instance: str,
    container_id: str,
    parent: str,
    resources: oci.Resources,
    *,
    systemd: bool = False,
    budget: tuple[int, int] = (0, 0),
) -> CgroupPlan:
    """The groups of a container and the writes that limit it.

    `parent` is Docker's --cgroup-parent, "" for the engine's own; with `systemd` a slice. `budget` is the period and run time that
    groups above containers with real-time limits are to have, in microseconds, 0 for none.
    Raises InvalidParameter for a parent that leads elsewhere, System where a limit is asked for that no mounted controller
    can keep: what can be done without was to be dropped, with a warning, before (`means`).
    """
    groups = place(hierarchy, instance, container_id, parent, systemd=systemd)
    writes, program = limits(hierarchy, resources)
    writes = (*_above(hierarchy, groups, resources.cpu, budget), *writes)
    if systemd:
        scope = scope_plan.scope(container_id, parent, resources, v2=hierarchy.mode is Mode.V2)
        return CgroupPlan(groups, writes, program, instance, scope)
    return CgroupPlan(groups, writes, program, "" if parse_parent(parent) else instance)


def limits(hierarchy: Hierarchy, resources: oci.Resources) -> tuple[tuple[Write, ...], bytes]:
    """The writes that limit a container, wherever its groups are, and the BPF program of its device rules on v2.

    Raises InvalidParameter for a value that means nothing, System as `plan` does.
    """
    writes = [*_memory(hierarchy, resources.memory), *_cpu(hierarchy, resources.cpu)]
    writes += [*_cpuset(hierarchy, resources.cpu), *_pids(hierarchy, resources.pids_limit)]
    writes += [*_weight_of_io(hierarchy, resources.blkio_weight), *_block_limits(hierarchy, resources.block_limits)]
    writes += _tcp(hierarchy, resources.kernel_tcp)
    writes += raw.writes(hierarchy, resources.unified)
    program = b""
    if hierarchy.guards_devices and not devices.allows_everything(resources.devices):
        if _version(hierarchy, "devices", "device rules") == 1:
            writes += [("devices", file, line) for file, line in devices.v1_writes(resources.devices)]
        else:
            program = devices.v2_program(resources.devices)
    return tuple(writes), program


def instance_group(instance: str) -> str:
    """The name of the group in each hierarchy below which an instance keeps its containers'."""
    return f"sampan-{instance}"


def place(
    hierarchy: Hierarchy, instance: str, container_id: str, parent: str = "", *, systemd: bool = False
) -> dict[str, str]:
    """The directory of a container in each hierarchy: `<root>/docker/<id>`, or `<root>/<parent>/sampan-<instance>/<id>`.

    The first is Docker's, and programs in containers find their id by it; ids are never the same, and each group bears the
    instance's mark, so that what is left over can be told apart. Under a parent of the user's the instance's group stands
    between for that. With `systemd` it is the scope's, `<root>/system.slice/docker-<id>.scope`. Nowhere, where groups are
    optional and there are none. Raises InvalidParameter, System.
    """
    if hierarchy.mode is Mode.NONE and hierarchy.optional:
        return {}
    if hierarchy.mode is Mode.NONE:
        raise System("no control groups are mounted on this host (mount -t cgroup2 cgroup2 /sys/fs/cgroup)")
    if systemd:
        below = [*scope_plan.slice_names(parent), scope_plan.unit_name(container_id)]
        return {controller: "/".join((root, *below)) for controller, root in hierarchy.roots().items()}
    names = parse_parent(parent)
    below = [*names, instance_group(instance), container_id] if names else [SHARED, container_id]
    return {controller: "/".join((root, *below)) for controller, root in hierarchy.roots().items()}


def parse_parent(parent: str) -> list[str]:
    """The names in a --cgroup-parent, absolute or not: both count from the mount point. Raises InvalidParameter."""
    names = [name for name in parent.split("/") if name]
    wrong = any(name in (".", "..") or len(name) > _LONGEST_NAME or not name.isprintable() for name in names)
    if wrong or len(names) > _MOST_LEVELS:
        raise InvalidParameter(f"invalid cgroup parent: {parent}")
    return names


def _version(hierarchy: Hierarchy, controller: str, what: str) -> int:
    version = hierarchy.version(controller)
    if version == 0:
        raise System(
            f"{what} cannot be enforced on this host: the control group controller {controller} is not mounted"
        )
    return version


def _memory(hierarchy: Hierarchy, memory: oci.Memory) -> Iterator[Write]:
    asked = (memory.limit, memory.reservation, memory.swap, memory.swappiness)
    if not any(asked) and memory.swappiness is None and not memory.disable_oom_killer:
        return
    limit, swap = memory.limit or 0, memory.swap or 0
    if (limit, swap, memory.reservation or 0) == (0, -1, 0) and not hierarchy.version("memory"):
        return  # all that is left of a limit that was taken off with a warning
    if limit == -1 and swap == 0:
        # Memory without a limit under a limited sum of memory and swap makes no sense: as runc, lift both.
        swap = -1
    if _version(hierarchy, "memory", "memory limits") == 1:
        yield from _memory_v1(memory, limit, swap)
    else:
        yield from _memory_v2(memory, limit, swap)


def _memory_v1(memory: oci.Memory, limit: int, swap: int) -> Iterator[Write]:
    # The sum may never be below memory's limit: in a new group, without limits, memory goes first.
    if limit:
        yield "memory", "memory.limit_in_bytes", str(limit)
    if swap:
        yield "memory", "memory.memsw.limit_in_bytes", str(swap)
    if memory.reservation:
        yield "memory", "memory.soft_limit_in_bytes", str(memory.reservation)
    if memory.swappiness is not None:
        yield "memory", "memory.swappiness", str(memory.swappiness)
    if memory.disable_oom_killer:
        yield "memory", "memory.oom_control", "1"


def _memory_v2(memory: oci.Memory, limit: int, swap: int) -> Iterator[Write]:
    if memory.swappiness is not None or memory.disable_oom_killer:
        what = "memory swappiness" if memory.swappiness is not None else "disabling the OOM killer"
        raise System(f"{what} cannot be enforced on this host: cgroup v2 has no such setting")
    if swap:
        yield UNIFIED, "memory.swap.max", _maximum(swap_alone(limit, swap))
    if limit:
        yield UNIFIED, "memory.max", _maximum(limit)
    if memory.reservation:
        yield UNIFIED, "memory.low", _maximum(memory.reservation)


def _cpu(hierarchy: Hierarchy, cpu: oci.Cpu) -> Iterator[Write]:
    if not any((cpu.shares, cpu.quota, cpu.period, cpu.realtime_runtime, cpu.realtime_period)):
        return
    if _version(hierarchy, "cpu", "CPU limits") == 1:
        if cpu.shares:
            check_shares(cpu.shares)
            yield "cpu", "cpu.shares", str(cpu.shares)
        if cpu.realtime_period:
            yield "cpu", "cpu.rt_period_us", str(cpu.realtime_period)
        if cpu.realtime_runtime:
            yield "cpu", "cpu.rt_runtime_us", str(cpu.realtime_runtime)
        # The kernel checks the quota against the period that stands: the period first.
        if cpu.period:
            yield "cpu", "cpu.cfs_period_us", str(cpu.period)
        if cpu.quota:
            yield "cpu", "cpu.cfs_quota_us", str(cpu.quota)
        return
    if cpu.realtime_runtime or cpu.realtime_period:
        raise System("real-time CPU limits cannot be enforced on this host: cgroup v2 has no such setting")
    if cpu.shares:
        yield UNIFIED, "cpu.weight", str(weight(cpu.shares))
    if cpu.quota or cpu.period:
        quota = str(cpu.quota) if cpu.quota and cpu.quota > 0 else "max"
        yield UNIFIED, "cpu.max", f"{quota} {cpu.period or _DEFAULT_PERIOD}"


def _above(hierarchy: Hierarchy, groups: dict[str, str], cpu: oci.Cpu, budget: tuple[int, int]) -> Iterator[Write]:
    """No group has more real time than the one above it, and a new one has none: each is given the budget, from the top down."""
    if not any(budget) or not (cpu.realtime_runtime or cpu.realtime_period) or hierarchy.version("cpu") != 1:
        return
    depth = groups["cpu"].removeprefix(hierarchy.v1["cpu"]).count("/") - 1
    for level in range(depth, 0, -1):
        for file, microseconds in zip(("cpu.rt_period_us", "cpu.rt_runtime_us"), budget, strict=True):
            if microseconds:
                yield "cpu", "../" * level + file, str(microseconds)


def _cpuset(hierarchy: Hierarchy, cpu: oci.Cpu) -> Iterator[Write]:
    for file, text in (("cpuset.cpus", cpu.cpus), ("cpuset.mems", cpu.mems)):
        if text:
            yield "cpuset" if _version(hierarchy, "cpuset", "CPU sets") == 1 else UNIFIED, file, text


def _pids(hierarchy: Hierarchy, limit: int | None) -> Iterator[Write]:
    if limit is not None:
        text = str(limit) if limit > 0 else "max"
        yield "pids" if _version(hierarchy, "pids", "the limit of processes") == 1 else UNIFIED, "pids.max", text


def _weight_of_io(hierarchy: Hierarchy, asked: int | None) -> Iterator[Write]:
    """Weights are the BFQ scheduler's since Linux 5.0, on both versions in v1's scale; without it v2 has io.weight with its own."""
    if asked:
        if _version(hierarchy, "blkio", "the weight of block I/O") == 1:
            yield "blkio", "blkio.bfq.weight", str(asked)
        elif hierarchy.v2_weight == "io.bfq.weight":
            yield UNIFIED, "io.bfq.weight", str(asked)
        else:
            yield UNIFIED, hierarchy.v2_weight, f"default {io_weight(asked)}"


_THROTTLES = {"read_bps": "rbps", "write_bps": "wbps", "read_iops": "riops", "write_iops": "wiops"}
"""By the names of v1's files: what io.max calls them."""


def _block_limits(hierarchy: Hierarchy, limits: tuple[oci.BlockLimit, ...]) -> Iterator[Write]:
    """One device in each write; a rate of 0 is no limit on v1, and `max` on v2."""
    if not limits:
        return
    v1 = _version(hierarchy, "blkio", "limits of block I/O") == 1
    for limit in limits:
        device = f"{limit.major}:{limit.minor}"
        if limit.what == "weight":
            file, text = ("blkio.bfq.weight_device" if v1 else "io.bfq.weight"), str(limit.value)
        elif v1:
            file, text = f"blkio.throttle.{limit.what}_device", str(limit.value)
        else:
            file, text = "io.max", f"{_THROTTLES[limit.what]}={limit.value or 'max'}"
        yield "blkio" if v1 else UNIFIED, file, f"{device} {text}"


def _tcp(hierarchy: Hierarchy, limit: int | None) -> Iterator[Write]:
    if limit:
        if _version(hierarchy, "memory", "the limit of TCP buffers") != 1:
            raise System("a limit of TCP buffers cannot be enforced on this host: cgroup v2 has no such setting")
        yield "memory", "memory.kmem.tcp.limit_in_bytes", str(limit)


def _maximum(value: int) -> str:
    return "max" if value == -1 else str(value)
