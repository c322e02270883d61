"""Limits of a create request, judged as Docker judges them: refused, or taken off with a warning where the host lacks the means.

Pure: what the host can do comes in as `Means`.
"""

import msgspec

from sampan.cgroups.means import Means
from sampan.errors import InvalidParameter
from sampan.spec.host_config import HostConfig

_LEAST_MEMORY = 6 << 20
_NO_KERNEL = "Your kernel does not support {} or the cgroup is not mounted. {}"


def check_resources(host: HostConfig, means: Means, *, is_update: bool = False) -> tuple[HostConfig, list[str]]:
    """The request as it can be kept here, and the warnings. Raises InvalidParameter.

    An update may name memory plus swap alone: memory has its limit already.
    """
    _refuse_foreign(host, is_update=is_update)
    changed, warnings = _memory(host, means, is_update=is_update)
    changed, more = _cpu(changed, means)
    _cpuset(changed, means)
    changed, block = _block_io(changed, means)
    return changed, [*warnings, *more, *block]


def _refuse_foreign(host: HostConfig, *, is_update: bool) -> None:
    """Limits that only Windows has."""
    if is_update and (host.io_maximum_bandwidth or host.io_maximum_iops):
        raise InvalidParameter("Invalid QoS settings: linux does not support Maximum IO Bandwidth or Maximum IO IOps")
    for name, value in {"IOMaximumBandwidth": host.io_maximum_bandwidth, "IOMaximumIOps": host.io_maximum_iops}.items():
        if value:
            what = "bandwidth" if name.endswith("width") else "IOPs"
            raise InvalidParameter(f"invalid option: QoS maximum {what} configuration is not supported on linux")


class _Judgement:
    """A request under way: what is changed in it, and what is said about that."""

    def __init__(self) -> None:
        self.changes: dict[str, object] = {}
        self.warnings: list[str] = []

    def drop(self, field: str, value: object, text: str) -> None:
        """Take a limit off, and say so."""
        self.changes[field] = value
        self.warnings.append(text)


def _memory(host: HostConfig, means: Means, *, is_update: bool) -> tuple[HostConfig, list[str]]:
    verdict = _Judgement()
    memory, swap = host.memory, host.memory_swap
    if memory and memory < _LEAST_MEMORY:
        raise InvalidParameter("Minimum memory limit allowed is 6MB")
    if memory and not means.memory:
        memory, swap = 0, -1
        verdict.changes["memory_swap"] = -1
        verdict.drop("memory", 0, _NO_KERNEL.format("memory limit capabilities", "Limitation discarded."))
    if memory and swap != -1 and not means.swap:
        swap = -1
        text = _NO_KERNEL.format("swap limit capabilities", "Memory limited without swap.")
        verdict.drop("memory_swap", -1, text)
    if memory and 0 < swap < memory:
        raise InvalidParameter("Minimum memoryswap limit should be larger than memory limit, see usage")
    if not memory and swap > 0 and not is_update:
        raise InvalidParameter("You should always set the Memory limit when using Memoryswap limit, see usage")
    _swappiness(host, means, verdict)
    _reservation(host, means, memory, verdict)
    if host.kernel_memory_tcp and not means.kernel_tcp:
        text = _NO_KERNEL.format("kernel memory TCP limit capabilities", "Limitation discarded.")
        verdict.drop("kernel_memory_tcp", 0, text)
    if host.kernel_memory:
        text = _NO_KERNEL.format("kernel memory limit capabilities", "Limitation discarded.")
        verdict.drop("kernel_memory", 0, text)
    _oom_and_pids(host, means, memory, verdict)
    return msgspec.structs.replace(host, **verdict.changes), verdict.warnings


def _swappiness(host: HostConfig, means: Means, verdict: _Judgement) -> None:
    swappiness = host.memory_swappiness
    if swappiness in (None, -1):
        verdict.changes["memory_swappiness"] = None
    elif not means.swappiness:
        text = _NO_KERNEL.format("memory swappiness capabilities", "Memory swappiness discarded.")
        verdict.drop("memory_swappiness", None, text)
    elif not 0 <= swappiness <= 100:
        raise InvalidParameter(f"Invalid value: {swappiness}, valid memory swappiness range is 0-100")


def _reservation(host: HostConfig, means: Means, memory: int, verdict: _Judgement) -> None:
    reservation = host.memory_reservation
    if reservation and not means.reservation:
        text = _NO_KERNEL.format("memory soft limit capabilities", "Limitation discarded.")
        verdict.drop("memory_reservation", 0, text)
        return
    if 0 < reservation < _LEAST_MEMORY:
        raise InvalidParameter("Minimum memory reservation allowed is 6MB")
    if memory and reservation > memory:
        raise InvalidParameter("Minimum memory limit can not be less than memory reservation limit, see usage")


def _oom_and_pids(host: HostConfig, means: Means, memory: int, verdict: _Judgement) -> None:
    if host.oom_kill_disable is not None and not means.oom_kill_disable:
        verdict.changes["oom_kill_disable"] = None
        if host.oom_kill_disable:
            verdict.warnings.append("Your kernel does not support OomKillDisable. OomKillDisable discarded.")
    elif host.oom_kill_disable and not memory:
        verdict.warnings.append(
            "OOM killer is disabled for the container, but no memory limit is set, "
            "this can result in the system running out of resources."
        )
    if host.pids_limit is not None and not means.pids:
        verdict.changes["pids_limit"] = None
        if host.pids_limit > 0:
            verdict.warnings.append(_NO_KERNEL.format("PIDs limit capabilities", "PIDs limit discarded."))


def _cpu(host: HostConfig, means: Means) -> tuple[HostConfig, list[str]]:
    warnings: list[str] = []
    changes: dict[str, object] = {}
    if host.nano_cpus > 0 and host.cpu_period > 0:
        raise InvalidParameter("Conflicting options: Nano CPUs and CPU Period cannot both be set")
    if host.nano_cpus > 0 and host.cpu_quota > 0:
        raise InvalidParameter("Conflicting options: Nano CPUs and CPU Quota cannot both be set")
    if host.nano_cpus > 0 and not means.cpu_quota:
        raise InvalidParameter(
            "NanoCPUs can not be set, as your kernel does not support CPU CFS scheduler or the cgroup is not mounted"
        )
    if not 0 <= host.nano_cpus <= means.cpu_count * 10**9:
        count = means.cpu_count
        raise InvalidParameter(f"range of CPUs is from 0.01 to {count}.00, as there are only {count} CPUs available")
    if host.cpu_shares < 0:
        raise InvalidParameter(f"invalid CPU shares ({host.cpu_shares}): value must be a positive integer")
    if host.cpu_shares and not means.cpu_shares:
        changes["cpu_shares"] = 0
        warnings.append(_NO_KERNEL.format("CPU shares", "Shares discarded."))
    if (host.cpu_period or host.cpu_quota) and not means.cpu_quota:
        changes.update(cpu_period=0, cpu_quota=0)
        warnings.append("Your kernel does not support CPU CFS scheduler. CPU period/quota discarded.")
    elif host.cpu_period and not 1000 <= host.cpu_period <= 1_000_000:
        raise InvalidParameter("CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)")
    elif 0 < host.cpu_quota < 1000:
        raise InvalidParameter("CPU cfs quota can not be less than 1ms (i.e. 1000)")
    if host.cpu_percent > 0:
        changes["cpu_percent"] = 0
        warnings.append("linux does not support CPU percent. Percent discarded.")
    if host.cpu_count:
        raise InvalidParameter("invalid option: CPU count is not supported on linux")
    if (host.cpu_realtime_period or host.cpu_realtime_runtime) and not means.cpu_realtime:
        raise InvalidParameter("kernel does not support CPU real-time scheduler")
    if 0 < host.cpu_realtime_period < host.cpu_realtime_runtime:
        raise InvalidParameter("cpu real-time runtime cannot be higher than cpu real-time period")
    return msgspec.structs.replace(host, **changes), warnings


def _cpuset(host: HostConfig, means: Means) -> None:
    if not (host.cpuset_cpus or host.cpuset_mems):
        return
    if not means.cpuset:
        raise InvalidParameter("cpusets cannot be set: the cpuset controller is not mounted")
    for asked, there, what, kind in (
        (host.cpuset_cpus, means.cpus, "CPUs", "cpus"),
        (host.cpuset_mems, means.mems, "memory nodes", "mems"),
    ):
        try:
            wanted = parse_list(asked)
        except ValueError as error:
            raise InvalidParameter(f"Invalid value {asked} for cpuset {kind}: {error}") from error
        if not wanted <= parse_list(there.strip()):
            raise InvalidParameter(f"Requested {what} are not available - requested {asked}, available: {there}")


_THROTTLES = (
    ("blkio_device_read_bps", "BPS Block I/O read limit", "Block I/O BPS read limit discarded."),
    ("blkio_device_write_bps", "BPS Block I/O write limit", "Block I/O BPS write limit discarded."),
    ("blkio_device_read_iops", "IOPS Block read limit", "Block I/O IOPS read limit discarded."),
    ("blkio_device_write_iops", "IOPS Block write limit", "Block I/O IOPS write limit discarded."),
)


def _block_io(host: HostConfig, means: Means) -> tuple[HostConfig, list[str]]:
    verdict = _Judgement()
    if host.blkio_weight and not means.blkio_weight:
        verdict.drop("blkio_weight", 0, _NO_KERNEL.format("Block I/O weight", "Weight discarded."))
    elif host.blkio_weight and not 10 <= host.blkio_weight <= 1000:
        raise InvalidParameter("Range of blkio weight is from 10 to 1000")
    if host.blkio_weight_device and not means.blkio_weight_device:
        verdict.drop(
            "blkio_weight_device", (), _NO_KERNEL.format("Block I/O weight_device", "Weight-device discarded.")
        )
    for field, what, outcome in _THROTTLES:
        if getattr(host, field) and not means.blkio_throttle:
            verdict.drop(field, (), _NO_KERNEL.format(what, outcome))
    count = sum(len(getattr(host, field) or ()) for field in ("blkio_weight_device", *(row[0] for row in _THROTTLES)))
    if count > _MOST_DEVICES:
        raise InvalidParameter(f"{count} limits of block I/O are too many: a container can have {_MOST_DEVICES}")
    return msgspec.structs.replace(host, **verdict.changes), verdict.warnings


_MOST_DEVICES = 256
"""Each is a write into a file of the control groups at every start."""
_MOST_CPUS = 8192
_MOST_DIGITS = 9


def parse_list(text: str) -> set[int]:
    """A list as the kernel writes them, `0-3,6`. Raises ValueError."""
    found: set[int] = set()
    for part in text.split(",") if text else ():
        first, dash, last = part.partition("-")
        if not (first.isascii() and first.isdecimal()) or (dash and not (last.isascii() and last.isdecimal())):
            raise ValueError(f"invalid format: {text}")
        if max(len(first), len(last)) > _MOST_DIGITS:
            raise ValueError(f"value of out range, maximum is {_MOST_CPUS}")
        low, high = int(first), int(last or first)
        if high > _MOST_CPUS:
            # The words are Docker's.
            raise ValueError(f"value of out range, maximum is {_MOST_CPUS}")
        if high < low:
            raise ValueError(f"invalid format: {text}")
        found.update(range(low, high + 1))
    return found
