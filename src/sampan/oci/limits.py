"""The resources of a bundle as the control groups' plan takes them. Pure."""

import re
from collections.abc import Iterator

from sampan.errors import InvalidParameter, NotImplementedHere
from sampan.oci import resource_documents
from sampan.runtime.profile_devices import DEFAULT_RULES, DENY_ALL
from sampan.spec import oci_runtime as oci

_PAGE_SIZE = re.compile(r"[1-9][0-9]{0,4}[KMG]B")
_ACCESS = re.compile(r"[rwm]{1,3}")


def resources(asked: resource_documents.Resources | None, *, v2: bool) -> oci.Resources:
    """What is asked for; `v2` where the controllers are on v2. Raises InvalidParameter, NotImplementedHere.

    A value of 0 is none, as in runc. What v2 has no file for and no engine can do without (swappiness, the OOM killer's switch)
    is left out there, as runc leaves it.
    """
    if asked is None:
        return oci.Resources()
    memory, cpu = asked.memory or resource_documents.Memory(), asked.cpu or resource_documents.Cpu()
    blocks = asked.block_io or resource_documents.BlockIo()
    if blocks.leaf_weight:
        raise NotImplementedHere("linux.resources.blockIO.leafWeight is not implemented: kernels since 5.0 have none")
    return oci.Resources(
        devices=_devices(asked.devices),
        memory=oci.Memory(
            limit=memory.limit or None,
            reservation=memory.reservation or None,
            swap=memory.swap or None,
            swappiness=None if v2 else memory.swappiness,
            disable_oom_killer=bool(memory.disable_oom_killer) and not v2,
        ),
        cpu=oci.Cpu(
            shares=cpu.shares or None,
            quota=cpu.quota or None,
            period=cpu.period or None,
            realtime_runtime=cpu.realtime_runtime or None,
            realtime_period=cpu.realtime_period or None,
            cpus=cpu.cpus,
            mems=cpu.mems,
        ),
        pids_limit=asked.pids.limit or None if asked.pids else None,
        blkio_weight=blocks.weight or None,
        block_limits=tuple(_blocks(blocks)),
        kernel_tcp=memory.kernel_tcp if memory.kernel_tcp and memory.kernel_tcp > 0 and not v2 else None,
        unified=dict(_by_name(asked, v2=v2)),
    )


def _devices(asked: tuple[resource_documents.DeviceRule, ...] | None) -> tuple[oci.DeviceRule, ...]:
    """The bundle's rules, and at the end, where everything is denied by default, what no container can do without. runc's order."""
    found: list[oci.DeviceRule] = []
    for rule in asked or ():
        if rule.type not in ("", "a", "b", "c") or (rule.access and not _ACCESS.fullmatch(rule.access)):
            raise InvalidParameter(f"linux.resources.devices: invalid rule {rule.type} {rule.access}")
        each = oci.DeviceRule(
            allow=rule.allow,
            type=rule.type or "a",
            major=_number(rule.major),
            minor=_number(rule.minor),
            access=rule.access or "rwm",
        )
        found.append(each)
    if DENY_ALL in found:
        found += DEFAULT_RULES[1:]
    return tuple(found)


def _number(value: int | None) -> int | None:
    return None if value is None or value < 0 else value


def _blocks(asked: resource_documents.BlockIo) -> Iterator[oci.BlockLimit]:
    for device in asked.weight_device or ():
        if device.weight:
            yield oci.BlockLimit("weight", device.major, device.minor, device.weight)
    for what, throttles in (
        ("read_bps", asked.throttle_read_bps_device),
        ("write_bps", asked.throttle_write_bps_device),
        ("read_iops", asked.throttle_read_iops_device),
        ("write_iops", asked.throttle_write_iops_device),
    ):
        for device in throttles or ():
            yield oci.BlockLimit(what, device.major, device.minor, device.rate)


def _by_name(asked: resource_documents.Resources, *, v2: bool) -> Iterator[tuple[str, str]]:
    """Limits that are told by their control files' names."""
    for pages in asked.hugepage_limits or ():
        if not _PAGE_SIZE.fullmatch(pages.page_size):
            raise InvalidParameter(f"linux.resources.hugepageLimits: invalid page size {pages.page_size!r}")
        yield f"hugetlb.{pages.page_size}.{'max' if v2 else 'limit_in_bytes'}", str(pages.limit)
    cpu = asked.cpu or resource_documents.Cpu()
    if cpu.burst is not None:
        # Behind the quota, which is its bound.
        yield ("cpu.max.burst" if v2 else "cpu.cfs_burst_us"), str(cpu.burst)
    if cpu.idle is not None:
        yield "cpu.idle", str(cpu.idle)
    for device, limit in (asked.rdma or {}).items():
        words = [
            f"{name}={value}"
            for name, value in (("hca_handle", limit.hca_handles), ("hca_object", limit.hca_objects))
            if value is not None
        ]
        yield "rdma.max", " ".join([device, *words])
    network = asked.network
    if network is not None and not v2:
        if network.class_id:
            yield "net_cls.classid", str(network.class_id)
        for each in network.priorities or ():
            yield "net_prio.ifpriomap", f"{each.name} {each.priority}"
    if asked.unified:
        if not v2:
            raise InvalidParameter("linux.resources.unified: this host's controllers are on control groups v1")
        yield from asked.unified.items()
