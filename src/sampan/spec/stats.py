"""Statistics of a container. Their names are snake_case on the wire, too."""

from sampan.spec.document import Document, sent

Count = int
"""Go's uint64."""


class CpuUsage(Document, frozen=True, rename=None):
    """Nanoseconds since the container's start; by processor on cgroup v1 only."""

    total_usage: Count = sent(0)
    percpu_usage: tuple[Count, ...] | None = None
    usage_in_kernelmode: Count = sent(0)
    usage_in_usermode: Count = sent(0)


class Throttling(Document, frozen=True, rename=None):
    """How often a quota held the container back, and for how many nanoseconds."""

    periods: Count = sent(0)
    throttled_periods: Count = sent(0)
    throttled_time: Count = sent(0)


class CpuStats(Document, frozen=True, rename=None):
    """`system_cpu_usage` is what all processors together have spent, idle ones included."""

    cpu_usage: CpuUsage = sent(CpuUsage())
    system_cpu_usage: Count = 0
    online_cpus: Count = 0
    throttling_data: Throttling = sent(Throttling())


class PidsStats(Document, frozen=True, rename=None):
    """Processes; a limit of 0 is none."""

    current: Count = 0
    limit: Count = 0


class BlkioEntry(Document, frozen=True, rename=None):
    """What one device has done."""

    major: Count = sent(0)
    minor: Count = sent(0)
    op: str = sent("")
    value: Count = sent(0)


Entries = tuple[BlkioEntry, ...] | None


class BlkioStats(Document, frozen=True, rename=None):
    """Block I/O. Only the first is counted on v2, only the first two on v1's kernels of today."""

    io_service_bytes_recursive: Entries = sent(None)
    io_serviced_recursive: Entries = sent(None)
    io_queue_recursive: Entries = sent(None)
    io_service_time_recursive: Entries = sent(None)
    io_wait_time_recursive: Entries = sent(None)
    io_merged_recursive: Entries = sent(None)
    io_time_recursive: Entries = sent(None)
    sectors_recursive: Entries = sent(None)


class MemoryStats(Document, frozen=True, rename=None):
    """Bytes. `stats` is memory.stat as the kernel has it, `max_usage` v1's; the last three are Windows'."""

    usage: Count = 0
    max_usage: Count = 0
    stats: dict[str, Count] | None = None
    failcnt: Count = 0
    limit: Count = 0
    commitbytes: Count = 0
    commitpeakbytes: Count = 0
    privateworkingset: Count = 0


class NetworkStats(Document, frozen=True, rename=None):
    """One interface; the two ids are Windows'."""

    rx_bytes: Count = sent(0)
    rx_packets: Count = sent(0)
    rx_errors: Count = sent(0)
    rx_dropped: Count = sent(0)
    tx_bytes: Count = sent(0)
    tx_packets: Count = sent(0)
    tx_errors: Count = sent(0)
    tx_dropped: Count = sent(0)
    endpoint_id: str = ""
    instance_id: str = ""


class StorageStats(Document, frozen=True, rename=None):
    """Windows only: always empty here."""

    read_count_normalized: Count = 0
    read_size_bytes: Count = 0
    write_count_normalized: Count = 0
    write_size_bytes: Count = 0


class StatsResponse(Document, frozen=True, rename=None):
    """Answer of GET /containers/{id}/stats. `preread` and `precpu_stats` are those of the sample before.

    `pressure` is Sampan's own: stall information by resource (cpu, memory, io), as the kernel's pressure files have it.
    """

    name: str = ""
    id: str = ""
    read: str = sent("")
    preread: str = sent("")
    pids_stats: PidsStats = sent(PidsStats())
    blkio_stats: BlkioStats = sent(BlkioStats())
    num_procs: Count = sent(0)
    storage_stats: StorageStats = sent(StorageStats())
    cpu_stats: CpuStats = sent(CpuStats())
    precpu_stats: CpuStats = sent(CpuStats())
    memory_stats: MemoryStats = sent(MemoryStats())
    networks: dict[str, NetworkStats] | None = None
    pressure: dict[str, dict[str, dict[str, float]]] | None = None
