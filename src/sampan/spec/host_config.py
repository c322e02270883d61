"""HostConfig: what of a container depends on the host it runs on."""

from typing import Annotated

import msgspec

from sampan.spec.document import Command, Document, Int64, Names, Pairs, UInt, UInt16, sent, wire
from sampan.spec.mounts import Mount
from sampan.spec.ports import PortMap


class WeightDevice(Document, frozen=True):
    """Relative block I/O weight of one device."""

    path: str = sent("")
    weight: UInt16 = sent(0)


class ThrottleDevice(Document, frozen=True):
    """Bytes or operations a second on one device."""

    path: str = sent("")
    rate: UInt = sent(0)


class DeviceMapping(Document, frozen=True):
    """A device of the host given to the container. `cgroup_permissions` is a subset of `rwm`."""

    path_on_host: str = sent("")
    path_in_container: str = sent("")
    cgroup_permissions: str = sent("")


class DeviceRequest(Document, frozen=True, rename=wire(device_ids="DeviceIDs")):
    """Devices asked of a driver (`--gpus`). `capabilities` is an OR of ANDs; `count` -1 is all."""

    driver: str = sent("")
    count: int = sent(0)
    device_ids: Names | None = sent(None)
    capabilities: tuple[Names, ...] | None = sent(None)
    options: Pairs | None = sent(None)


class Ulimit(Document, frozen=True):
    """One resource limit by its short name (`nofile`); -1 is unlimited."""

    name: str = sent("")
    hard: Int64 = sent(0)
    soft: Int64 = sent(0)


class LogConfig(Document, frozen=True):
    """Log driver and its options; an empty type is the daemon's default."""

    type: str = sent("")
    config: Pairs | None = sent(None)


class RestartPolicy(Document, frozen=True):
    """`name` is "", no, always, unless-stopped or on-failure."""

    name: str = sent("")
    maximum_retry_count: int = sent(0)


_RESOURCES = {
    "io_maximum_iops": "IOMaximumIOps",
    "io_maximum_bandwidth": "IOMaximumBandwidth",
    "kernel_memory_tcp": "KernelMemoryTCP",
    "blkio_device_read_iops": "BlkioDeviceReadIOps",
    "blkio_device_write_iops": "BlkioDeviceWriteIOps",
}

Throttles = tuple[ThrottleDevice, ...] | None


class Resources(Document, frozen=True, rename=wire(**_RESOURCES)):
    """Limits. Bytes, microseconds (periods, quotas), nano-CPUs; 0 is unset, -1 unlimited where Docker has it so."""

    cpu_shares: Int64 = sent(0)
    memory: Int64 = sent(0)
    nano_cpus: Int64 = sent(0)
    cgroup_parent: str = sent("")
    blkio_weight: UInt16 = sent(0)
    blkio_weight_device: tuple[WeightDevice, ...] | None = sent(None)
    blkio_device_read_bps: Throttles = sent(None)
    blkio_device_write_bps: Throttles = sent(None)
    blkio_device_read_iops: Throttles = sent(None)
    blkio_device_write_iops: Throttles = sent(None)
    cpu_period: Int64 = sent(0)
    cpu_quota: Int64 = sent(0)
    cpu_realtime_period: Int64 = sent(0)
    cpu_realtime_runtime: Int64 = sent(0)
    cpuset_cpus: str = sent("")
    cpuset_mems: str = sent("")
    devices: tuple[DeviceMapping, ...] | None = sent(None)
    device_cgroup_rules: Names | None = sent(None)
    device_requests: tuple[DeviceRequest, ...] | None = sent(None)
    kernel_memory: Int64 = 0
    kernel_memory_tcp: Int64 = 0
    memory_reservation: Int64 = sent(0)
    memory_swap: Int64 = sent(0)
    memory_swappiness: Int64 | None = sent(None)
    oom_kill_disable: bool | None = sent(None)
    pids_limit: Int64 | None = sent(None)
    ulimits: tuple[Ulimit, ...] | None = sent(None)
    cpu_count: Int64 = sent(0)
    cpu_percent: Int64 = sent(0)
    io_maximum_iops: UInt = sent(0)
    io_maximum_bandwidth: UInt = sent(0)


ConsoleSize = Annotated[tuple[UInt, ...], msgspec.Meta(min_length=2, max_length=2)]
"""Height and width of a terminal."""


class HostConfig(
    Resources, frozen=True, rename=wire(container_id_file="ContainerIDFile", uts_mode="UTSMode", **_RESOURCES)
):
    """`network_mode` is "", default, bridge, none, host, container:NAME or a network's name."""

    binds: Names | None = sent(None)
    container_id_file: str = sent("")
    log_config: LogConfig = sent(LogConfig())
    network_mode: str = sent("")
    port_bindings: PortMap | None = sent(None)
    restart_policy: RestartPolicy = sent(RestartPolicy())
    auto_remove: bool = sent(False)
    volume_driver: str = sent("")
    volumes_from: Names | None = sent(None)
    console_size: ConsoleSize = sent((0, 0))
    annotations: Pairs | None = None
    cap_add: Command = sent(None)
    cap_drop: Command = sent(None)
    cgroupns_mode: str = sent("")
    dns: Names | None = sent(None)
    dns_options: Names | None = sent(None)
    dns_search: Names | None = sent(None)
    extra_hosts: Names | None = sent(None)
    group_add: Names | None = sent(None)
    ipc_mode: str = sent("")
    cgroup: str = sent("")
    links: Names | None = sent(None)
    oom_score_adj: int = sent(0)
    pid_mode: str = sent("")
    privileged: bool = sent(False)
    publish_all_ports: bool = sent(False)
    readonly_rootfs: bool = sent(False)
    security_opt: Names | None = sent(None)
    storage_opt: Pairs | None = None
    tmpfs: Pairs | None = None
    uts_mode: str = sent("")
    userns_mode: str = sent("")
    shm_size: Int64 = sent(0)
    sysctls: Pairs | None = None
    runtime: str = ""
    isolation: str = sent("")
    mounts: tuple[Mount, ...] | None = None
    masked_paths: Names | None = sent(None)
    readonly_paths: Names | None = sent(None)
    init: bool | None = None


class UpdateRequest(Resources, frozen=True, rename=wire(**_RESOURCES)):
    """Body of POST /containers/{id}/update: limits, and the restart policy."""

    restart_policy: RestartPolicy = sent(RestartPolicy())
