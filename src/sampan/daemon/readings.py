"""One running container's counters: control groups and interfaces, open for as long as somebody watches."""

import errno
import time
from collections.abc import Callable, Collection

from sampan.cgroups.gauges import MOST_FILES, Gauges
from sampan.daemon import stats_document
from sampan.daemon.container import Container
from sampan.network.counters import Meter
from sampan.runtime.port import Runtime
from sampan.spec.stats import StatsResponse

Interfaces = Callable[[Container], Collection[str]]

DESCRIPTORS = MOST_FILES + 1
"""How many of them one container takes at most."""


class Readings:
    """The counters of one run of one container."""

    __slots__ = ("_container", "_gauges", "_interfaces", "_meter", "run")

    def __init__(self, container: Container, runtime: Runtime, interfaces: Interfaces) -> None:
        """Open them. `interfaces` says what the engine gave a container. Raises OSError; KeyError where it has ended."""
        self._container = container
        self._interfaces = interfaces
        self.run = container.state.started_ns
        self._gauges = Gauges(runtime.groups(container.id))
        try:
            self._meter = _meter(container, runtime)
        except (OSError, KeyError):
            self._gauges.close()
            raise

    def close(self) -> None:
        """Let go of everything, the network namespace above all."""
        self._gauges.close()
        if self._meter is not None:
            self._meter.close()

    def sample(self, system: tuple[int, int], memory: int) -> StatsResponse:
        """What is counted now. Raises OSError when the run is over."""
        container = self._container
        usage = self._gauges.read()
        networks = self._meter.read(self._interfaces(container)) if self._meter is not None else None
        return stats_document.sample(container.name, container.id, time.time_ns(), usage, system, memory, networks)


def _meter(container: Container, runtime: Runtime) -> Meter | None:
    definition = container.definition
    if definition.host.network_mode == "host" or definition.config.network_disabled:
        return None
    try:
        meter = Meter(container.state.pid)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ESRCH, errno.EINVAL):
            raise KeyError(container.id) from error
        raise
    try:
        # The pid was still the program's when its file was opened: a number used again is not taken for it.
        runtime.signal(container.id, 0)
    except KeyError:
        meter.close()
        raise
    return meter
