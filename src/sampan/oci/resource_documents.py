"""The resources of a bundle, and of an update, as others write them (runtime-spec, config-linux.md, "Control groups")."""

from typing import Annotated

import msgspec

from sampan.oci.document_types import Struct, Unsigned32


class DeviceRule(Struct, frozen=True):
    """Of the device controller."""

    allow: bool
    type: str = ""
    major: int | None = None
    minor: int | None = None
    access: str = ""


class Memory(Struct, frozen=True):
    """Bytes; -1 is no limit."""

    limit: int | None = None
    reservation: int | None = None
    swap: int | None = None
    kernel: int | None = None
    kernel_tcp: int | None = msgspec.field(name="kernelTCP", default=None)
    swappiness: int | None = None
    disable_oom_killer: bool | None = msgspec.field(name="disableOOMKiller", default=None)


class Cpu(Struct, frozen=True):
    """Microseconds, shares, lists of processors."""

    shares: int | None = None
    quota: int | None = None
    burst: Annotated[int, msgspec.Meta(ge=0)] | None = None
    period: int | None = None
    realtime_runtime: int | None = None
    realtime_period: int | None = None
    cpus: str = ""
    mems: str = ""
    idle: Annotated[int, msgspec.Meta(ge=-1, le=1)] | None = None


class Pids(Struct, frozen=True):
    """0 and less are no limit."""

    limit: int = 0


class BlockDevice(Struct, frozen=True):
    """A weight or a rate of one device."""

    major: int
    minor: int
    weight: int | None = None
    leaf_weight: int | None = None
    rate: int = 0


class BlockIo(Struct, frozen=True):
    """Limits of block I/O."""

    weight: int | None = None
    leaf_weight: int | None = None
    weight_device: tuple[BlockDevice, ...] | None = None
    throttle_read_bps_device: tuple[BlockDevice, ...] | None = None
    throttle_write_bps_device: tuple[BlockDevice, ...] | None = None
    throttle_read_iops_device: tuple[BlockDevice, ...] | None = msgspec.field(
        name="throttleReadIOPSDevice", default=None
    )
    throttle_write_iops_device: tuple[BlockDevice, ...] | None = msgspec.field(
        name="throttleWriteIOPSDevice", default=None
    )


class HugePages(Struct, frozen=True):
    """`page_size` as the kernel names it: 2MB."""

    page_size: str
    limit: Annotated[int, msgspec.Meta(ge=0)] = 0


class InterfacePriority(Struct, frozen=True):
    """Of net_prio."""

    name: str
    priority: Unsigned32


class Network(Struct, frozen=True):
    """v1's net_cls and net_prio."""

    class_id: Unsigned32 | None = msgspec.field(name="classID", default=None)
    priorities: tuple[InterfacePriority, ...] | None = None


class Rdma(Struct, frozen=True):
    """Of one device."""

    hca_handles: Unsigned32 | None = None
    hca_objects: Unsigned32 | None = None


class Resources(Struct, frozen=True):
    """What the control groups enforce."""

    devices: tuple[DeviceRule, ...] | None = None
    memory: Memory | None = None
    cpu: Cpu | None = None
    pids: Pids | None = None
    block_io: BlockIo | None = msgspec.field(name="blockIO", default=None)
    hugepage_limits: tuple[HugePages, ...] | None = None
    network: Network | None = None
    rdma: dict[str, Rdma] | None = None
    unified: dict[str, str] | None = None
