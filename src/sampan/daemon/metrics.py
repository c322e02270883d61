"""What Prometheus is told at `metrics-addr`: the daemon in Docker's names (`engine_daemon_*`), each running container in ours.

Loaded only where an address is configured. A scrape reads every running container once, as `docker stats` does.
"""

import asyncio
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from sampan.daemon.container import Container
from sampan.daemon.engine import Engine
from sampan.daemon.metrics_text import Family, Histogram, Labels, family, render, single
from sampan.daemon.states import Status
from sampan.host.facts import Facts
from sampan.spec.stats import StatsResponse
from sampan.version import VERSION

_TIMED = {
    "container_actions": ("container action", "action", ("changes", "commit", "create", "delete", "start")),
    "image_actions": ("image action", "action", ("delete", "history", "pull", "push")),
    "network_actions": ("network action", "action", ("connect", "release")),
    "host_info_functions": ("function that tells of the host", "function", ("system_info", "system_version")),
}
"""Name of a histogram: of what, the label that tells them apart, and which there are."""
_AT_ONCE = 8
"""Containers that are read before others have their turn on the event loop."""
_NANO = 1e-9
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")

_SAMPLED = tuple[Labels, StatsResponse]


class Metrics:
    """The figures of one daemon. `identity` is what `docker info` shows as its id."""

    def __init__(self, engine: Engine, facts: Facts, identity: str) -> None:
        self._engine = engine
        self._facts = facts
        self._identity = identity
        self._times = {name: {each: Histogram() for each in known} for name, (_, _, known) in _TIMED.items()}
        self.builds = 0
        """by the classic protocol, as Docker counts them"""

    @contextmanager
    def timed(self, name: str, action: str) -> Iterator[None]:
        """Count what is done inside, where it succeeds, as Docker does."""
        began = time.monotonic()
        yield
        self._times[name][action].observe(time.monotonic() - began)

    async def page(self) -> bytes:
        """The whole page, now."""
        return render([*self._daemon(), *_process(), *_containers(await self._sampled())])

    async def _sampled(self) -> list[_SAMPLED]:
        found: list[_SAMPLED] = []
        for count, container in enumerate(list(self._engine.containers), 1):
            if container.state.alive:
                document = self._engine.sampler.reading(container)
                if document is not None:
                    found.append((_labels(container), document))
            if count % _AT_ONCE == 0:
                await asyncio.sleep(0)
        return found

    def _daemon(self) -> Iterator[Family]:
        engine, facts = self._engine, self._facts
        for name, (what, label, _) in _TIMED.items():
            samples = [sample for each, times in self._times[name].items() for sample in times.samples({label: each})]
            yield Family(f"engine_daemon_{name}_seconds", "histogram", f"Seconds that each {what} took", tuple(samples))
        yield single("builder_builds_triggered_total", "counter", "Number of triggered image builds", self.builds)
        states = [container.state.status for container in engine.containers]
        running = sum(status in (Status.RUNNING, Status.RESTARTING) for status in states)
        paused = states.count(Status.PAUSED)
        counts = {"paused": paused, "running": running, "stopped": len(states) - running - paused}
        yield family(
            "engine_daemon_container_states_containers",
            "gauge",
            "The count of containers in various states",
            (({"state": state}, count) for state, count in counts.items()),
        )
        yield single(
            "engine_daemon_engine_cpus_cpus",
            "gauge",
            "The number of cpus that the host system of the engine has",
            facts.cpus,
        )
        yield family("engine_daemon_engine_info", "gauge", "The information related to the engine", [(self._info(), 1)])
        text = "The number of bytes of memory that the host system of the engine has"
        yield single("engine_daemon_engine_memory_bytes", "gauge", text, facts.memory)
        text = "The number of current subscribers to events"
        yield single("engine_daemon_events_subscribers_total", "gauge", text, engine.events.listeners)
        yield single(
            "engine_daemon_events_total", "counter", "The number of events logged", sum(engine.events.counts.values())
        )
        text = "The total number of failed health checks"
        yield single("engine_daemon_health_checks_failed_total", "counter", text, engine.failed_checks)
        yield single("engine_daemon_health_checks_total", "counter", "The total number of health checks", engine.checks)
        yield family(
            "sampan_events_total",
            "counter",
            "Events by type and action",
            (
                ({"type": kind, "action": action}, count)
                for (kind, action), count in sorted(engine.events.counts.items())
            ),
        )

    def _info(self) -> Labels:
        facts = self._facts
        return {
            "architecture": facts.machine,
            "commit": "",
            "daemon_id": self._identity,
            "graphdriver": self._engine.layers.driver,
            "kernel": facts.kernel,
            "os": facts.operating_system,
            "os_type": "linux",
            "os_version": facts.os_version,
            "version": VERSION,
        }


def _labels(container: Container) -> Labels:
    return {"id": container.id, "name": container.name, "image": container.definition.config.image}


def _containers(sampled: list[_SAMPLED]) -> Iterator[Family]:
    """One family a figure, one sample a container."""
    figures = (
        ("cpu_seconds_total", "counter", "Processor time", lambda s: s.cpu_stats.cpu_usage.total_usage * _NANO),
        (
            "cpu_user_seconds_total",
            "counter",
            "Of it in programs",
            lambda s: s.cpu_stats.cpu_usage.usage_in_usermode * _NANO,
        ),
        (
            *("cpu_system_seconds_total", "counter", "Of it in the kernel"),
            lambda s: s.cpu_stats.cpu_usage.usage_in_kernelmode * _NANO,
        ),
        (
            *("cpu_throttled_seconds_total", "counter", "Time for which its quota held it back"),
            lambda s: s.cpu_stats.throttling_data.throttled_time * _NANO,
        ),
        ("memory_usage_bytes", "gauge", "Memory in use, caches included", lambda s: s.memory_stats.usage),
        ("memory_limit_bytes", "gauge", "Its limit of memory, or the machine's", lambda s: s.memory_stats.limit),
        ("memory_failures_total", "counter", "Times that its limit was reached", lambda s: s.memory_stats.failcnt),
        ("pids", "gauge", "Processes and threads", lambda s: s.pids_stats.current),
        ("block_read_bytes_total", "counter", "Bytes read from disks", lambda s: _blocks(s, "read")),
        ("block_written_bytes_total", "counter", "Bytes written to disks", lambda s: _blocks(s, "write")),
    )
    for name, kind, text, value in figures:
        yield family(
            f"sampan_container_{name}", kind, text, [(labels, value(document)) for labels, document in sampled]
        )
    for name, field in (("receive", "rx_bytes"), ("transmit", "tx_bytes")):
        yield family(
            f"sampan_container_network_{name}_bytes_total",
            "counter",
            f"Bytes that it {name}s, by interface",
            [
                ({**labels, "interface": interface}, getattr(counters, field))
                for labels, document in sampled
                for interface, counters in (document.networks or {}).items()
            ],
        )
    yield family(
        "sampan_container_pressure_seconds_total",
        "counter",
        "Time for which some or all of its tasks waited for a resource (PSI)",
        [
            ({**labels, "resource": resource, "tasks": tasks}, values["total"] * 1e-6)
            for labels, document in sampled
            for resource, kinds in (document.pressure or {}).items()
            for tasks, values in kinds.items()
        ],
    )


def _blocks(document: StatsResponse, what: str) -> int:
    return sum(
        entry.value for entry in document.blkio_stats.io_service_bytes_recursive or () if entry.op.lower() == what
    )


def _process() -> Iterator[Family]:
    """The daemon's own process, in the names that every Prometheus client has (proc_pid_stat(5))."""
    with open("/proc/self/stat", "rb") as file:
        fields = file.read().rpartition(b")")[2].split()
    spent = (int(fields[11]) + int(fields[12])) / _TICKS
    with open("/proc/stat", "rb") as file:
        booted = next(int(line.split()[1]) for line in file if line.startswith(b"btime "))
    yield single("process_cpu_seconds_total", "counter", "Total user and system CPU time spent in seconds.", spent)
    yield single("process_open_fds", "gauge", "Number of open file descriptors.", len(os.listdir("/proc/self/fd")))
    yield single(*("process_resident_memory_bytes", "gauge", "Resident memory size in bytes."), int(fields[21]) * _PAGE)
    yield single("process_virtual_memory_bytes", "gauge", "Virtual memory size in bytes.", int(fields[20]))
    text = "Start time of the process since unix epoch in seconds."
    yield single("process_start_time_seconds", "gauge", text, booted + int(fields[19]) / _TICKS)
