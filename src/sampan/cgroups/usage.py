"""What a container has used, as its control groups count it: the figures, and how the kernel's files are read. Pure."""

from dataclasses import dataclass, field

_TICK_NS = 10_000_000
"""cpuacct.stat counts in USER_HZ, which is 100 on every machine."""
_USEC = 1000
UNLIMITED = (1 << 63) - 1
"""What "max" stands for here."""

Transfer = tuple[int, int, str, int]
"""Major and minor number of a device, what was done in the kernel's word, bytes or operations."""
Pressure = dict[str, dict[str, float]]
"""`some` and `full` → avg10, avg60, avg300 in per cent, `total` in microseconds (PSI)."""


@dataclass(slots=True)
class Usage:
    """One sample. Times in nanoseconds, sizes in bytes; what the host does not count is 0, empty or None."""

    cpu_total: int = 0
    cpu_each: tuple[int, ...] | None = None
    """by processor; v1 only"""
    cpu_kernel: int = 0
    cpu_user: int = 0
    periods: int = 0
    throttled_periods: int = 0
    throttled_time: int = 0
    memory: int = 0
    memory_peak: int = 0
    memory_failures: int = 0
    memory_limit: int = 0
    memory_details: dict[str, int] = field(default_factory=dict)
    """memory.stat, which differs between v1 and v2"""
    processes: int = 0
    processes_limit: int = 0
    """0 for none"""
    transfers: tuple[Transfer, ...] = ()
    """bytes"""
    operations: tuple[Transfer, ...] | None = None
    """v1 only"""
    pressure: dict[str, Pressure] = field(default_factory=dict)
    """by resource: cpu, memory, io"""


def number(text: str) -> int:
    """A file that holds one number, or `max`."""
    word = text.strip()
    return UNLIMITED if word == "max" else int(word)


def keyed(text: str) -> dict[str, int]:
    """A flat keyed file: a name and a number on each line."""
    words = text.split()
    return dict(zip(words[::2], map(int, words[1::2]), strict=True))


def cpu_v1(usage: Usage, total: str, each: str, split: str, throttling: str) -> None:
    """cpuacct.usage, cpuacct.usage_percpu, cpuacct.stat and cpu.stat; "" for a file that is not there."""
    usage.cpu_total = number(total) if total else 0
    usage.cpu_each = tuple(map(int, each.split())) if each else None
    found = keyed(split)
    usage.cpu_kernel, usage.cpu_user = found.get("system", 0) * _TICK_NS, found.get("user", 0) * _TICK_NS
    found = keyed(throttling)
    usage.periods, usage.throttled_periods = found.get("nr_periods", 0), found.get("nr_throttled", 0)
    usage.throttled_time = found.get("throttled_time", 0)


def cpu_v2(usage: Usage, text: str) -> None:
    """cpu.stat."""
    found = keyed(text)
    usage.cpu_total = found.get("usage_usec", 0) * _USEC
    usage.cpu_kernel, usage.cpu_user = found.get("system_usec", 0) * _USEC, found.get("user_usec", 0) * _USEC
    usage.periods, usage.throttled_periods = found.get("nr_periods", 0), found.get("nr_throttled", 0)
    usage.throttled_time = found.get("throttled_usec", 0) * _USEC


def transfers_v1(text: str) -> tuple[Transfer, ...]:
    """blkio.throttle.io_service_bytes and its like: `8:0 Read 512`; the sum over all devices at the end is left out."""
    found = []
    for line in text.splitlines():
        device, _, rest = line.partition(" ")
        what, _, amount = rest.partition(" ")
        major, colon, minor = device.partition(":")
        if colon and amount:
            found.append((int(major), int(minor), what, int(amount)))
    return tuple(found)


def transfers_v2(text: str) -> tuple[Transfer, ...]:
    """io.stat: `8:0 rbytes=512 wbytes=0 …`."""
    found: list[Transfer] = []
    for line in text.splitlines():
        device, *pairs = line.split()
        major, colon, minor = device.partition(":")
        amounts = dict(pair.split("=", 1) for pair in pairs if "=" in pair)
        if colon and amounts:
            found += (
                (int(major), int(minor), what, int(amounts.get(key, 0)))
                for what, key in (("read", "rbytes"), ("write", "wbytes"))
            )
    return tuple(found)


def pressure(text: str) -> Pressure:
    """A pressure file: `some avg10=0.00 avg60=0.00 avg300=0.00 total=0`, and the same for `full`."""
    found: Pressure = {}
    for line in text.splitlines():
        kind, *pairs = line.split()
        values = dict(pair.split("=", 1) for pair in pairs)
        found[kind] = {name: int(value) if name == "total" else float(value) for name, value in values.items()}
    return found
