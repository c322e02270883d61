"""From what was counted to Docker's statistics. Pure."""

from collections.abc import Mapping

import msgspec

from sampan.cgroups.usage import Transfer, Usage
from sampan.daemon.times import NEVER, rfc3339
from sampan.network.counters import Counters
from sampan.spec import stats as s


def nothing(name: str, container: str) -> s.StatsResponse:
    """What Docker tells of a container that does not run."""
    return s.StatsResponse(name=f"/{name}", id=container, read=NEVER, preread=NEVER)


def sample(
    name: str,
    container: str,
    at_ns: int,
    usage: Usage,
    system: tuple[int, int],
    memory: int,
    networks: Mapping[str, Counters] | None,
) -> s.StatsResponse:
    """One sample, taken at `at_ns`. `system` is the time of all processors and their number, `memory` the machine's."""
    return s.StatsResponse(
        name=f"/{name}",
        id=container,
        read=rfc3339(at_ns),
        preread=NEVER,
        pids_stats=s.PidsStats(current=usage.processes, limit=usage.processes_limit),
        blkio_stats=_blkio(usage),
        cpu_stats=_cpu(usage, system),
        memory_stats=s.MemoryStats(
            usage=usage.memory,
            max_usage=usage.memory_peak,
            stats=usage.memory_details,
            failcnt=usage.memory_failures,
            # Without a limit of its own the container has the machine's.
            limit=min(usage.memory_limit, memory),
        ),
        networks={interface: _network(counters) for interface, counters in networks.items()} if networks else None,
        pressure=usage.pressure or None,
    )


def after(previous: s.StatsResponse, now: s.StatsResponse) -> s.StatsResponse:
    """The later of two samples, with what of the earlier one a share of processor time is computed from."""
    return msgspec.structs.replace(now, preread=previous.read, precpu_stats=previous.cpu_stats)


def _cpu(usage: Usage, system: tuple[int, int]) -> s.CpuStats:
    return s.CpuStats(
        cpu_usage=s.CpuUsage(
            total_usage=usage.cpu_total,
            percpu_usage=usage.cpu_each,
            usage_in_kernelmode=usage.cpu_kernel,
            usage_in_usermode=usage.cpu_user,
        ),
        system_cpu_usage=system[0],
        online_cpus=system[1],
        throttling_data=s.Throttling(
            periods=usage.periods,
            throttled_periods=usage.throttled_periods,
            throttled_time=usage.throttled_time,
        ),
    )


def _blkio(usage: Usage) -> s.BlkioStats:
    if usage.operations is None:
        return s.BlkioStats(io_service_bytes_recursive=_entries(usage.transfers) or None)
    # On v1 Docker sends the lists that this kernel does not fill as empty ones.
    return s.BlkioStats(
        io_service_bytes_recursive=_entries(usage.transfers),
        io_serviced_recursive=_entries(usage.operations),
        io_queue_recursive=(),
        io_service_time_recursive=(),
        io_wait_time_recursive=(),
        io_merged_recursive=(),
        io_time_recursive=(),
        sectors_recursive=(),
    )


def _entries(transfers: tuple[Transfer, ...]) -> tuple[s.BlkioEntry, ...]:
    return tuple(
        s.BlkioEntry(major=major, minor=minor, op=what, value=value) for major, minor, what, value in transfers
    )


def _network(counters: Counters) -> s.NetworkStats:
    return s.NetworkStats(
        rx_bytes=counters.rx_bytes,
        rx_packets=counters.rx_packets,
        rx_errors=counters.rx_errors,
        rx_dropped=counters.rx_dropped,
        tx_bytes=counters.tx_bytes,
        tx_packets=counters.tx_packets,
        tx_errors=counters.tx_errors,
        tx_dropped=counters.tx_dropped,
    )
