"""What the control groups of this host can limit: asked once, when the daemon starts."""

import os
from dataclasses import dataclass

from sampan.cgroups import apply
from sampan.cgroups.groupfile import UNIFIED
from sampan.cgroups.hierarchy import Hierarchy, Mode
from sampan.cgroups.plan import instance_group


@dataclass(frozen=True, slots=True)
class Means:
    """What can be limited. `cpus` and `mems` are the processors and memory nodes there are, as the kernel lists them (`0-3,6`)."""

    memory: bool
    swap: bool
    reservation: bool
    swappiness: bool
    oom_kill_disable: bool
    pids: bool
    cpu_shares: bool
    cpu_quota: bool
    cpu_realtime: bool
    cpuset: bool
    blkio_weight: bool
    blkio_weight_device: bool
    blkio_throttle: bool
    kernel_tcp: bool
    cpu_count: int
    cpus: str
    mems: str
    v2_weight: str = "io.bfq.weight"
    """the file of v2 that a weight of block I/O is written to"""


def probe(hierarchy: Hierarchy, instance: str) -> Means:
    """Look for the files that limits are written to, in the instance's own groups, which are made for it.

    The root group of v2 has none of them, and whether they show further down depends on what may be switched on there: so this
    is tried, not derived. Raises OSError where no group can be made (a read-only /sys/fs/cgroup).
    """
    groups = instance_groups(hierarchy, instance)
    apply.prepare(groups)
    v2 = groups.get(UNIFIED, "")

    def there(controller: str, v1_file: str, v2_file: str) -> bool:
        version = hierarchy.version(controller)
        place = {0: "", 1: f"{groups.get(controller)}/{v1_file}", 2: f"{v2}/{v2_file}" if v2_file else ""}[version]
        return bool(place) and os.path.exists(place)

    v2_weight = "io.bfq.weight" if os.path.exists(f"{v2}/io.bfq.weight") else "io.weight"
    cpuset = there("cpuset", "cpuset.cpus", "cpuset.cpus")
    return Means(
        memory=there("memory", "memory.limit_in_bytes", "memory.max"),
        swap=there("memory", "memory.memsw.limit_in_bytes", "memory.swap.max"),
        reservation=there("memory", "memory.soft_limit_in_bytes", "memory.low"),
        swappiness=there("memory", "memory.swappiness", ""),
        oom_kill_disable=there("memory", "memory.oom_control", ""),
        pids=there("pids", "pids.max", "pids.max"),
        cpu_shares=there("cpu", "cpu.shares", "cpu.weight"),
        cpu_quota=there("cpu", "cpu.cfs_quota_us", "cpu.max"),
        cpu_realtime=there("cpu", "cpu.rt_period_us", ""),
        cpuset=cpuset,
        blkio_weight=there("blkio", "blkio.bfq.weight", v2_weight),
        blkio_weight_device=there("blkio", "blkio.bfq.weight_device", "io.bfq.weight"),
        blkio_throttle=there("blkio", "blkio.throttle.read_bps_device", "io.max"),
        kernel_tcp=there("memory", "memory.kmem.tcp.limit_in_bytes", ""),
        cpu_count=len(os.sched_getaffinity(0)),
        cpus=_list(hierarchy, groups, "cpus") if cpuset else "",
        mems=_list(hierarchy, groups, "mems") if cpuset else "",
        v2_weight=v2_weight,
    )


def instance_groups(hierarchy: Hierarchy, instance: str) -> dict[str, str]:
    """The groups below which the containers of an instance stand."""
    if hierarchy.mode is Mode.NONE:
        return {}
    return {name: f"{root}/{instance_group(instance)}" for name, root in hierarchy.roots().items()}


def _list(hierarchy: Hierarchy, groups: dict[str, str], what: str) -> str:
    v1 = hierarchy.version("cpuset") == 1
    path = f"{groups['cpuset']}/cpuset.{what}" if v1 else f"{groups[UNIFIED]}/cpuset.{what}.effective"
    with open(path, encoding="ascii") as file:
        return file.read().strip()
