"""The files in which the kernel counts what a container uses, kept open: a read through a descriptor costs a microsecond,
opening the file anew fifteen.
"""

import errno
import os
from collections.abc import Mapping

from sampan.cgroups import usage
from sampan.cgroups.groupfile import UNIFIED
from sampan.cgroups.usage import Usage

_ROOM = 64 * 1024
"""Bytes of one file that are read: io.stat has a line for each device, memory.stat some sixty."""
_V1 = {
    "cpuacct": ("cpuacct.usage", "cpuacct.usage_percpu", "cpuacct.stat"),
    "cpu": ("cpu.stat",),
    "memory": (
        *("memory.usage_in_bytes", "memory.max_usage_in_bytes", "memory.failcnt", "memory.limit_in_bytes"),
        "memory.stat",
    ),
    "pids": ("pids.current", "pids.max"),
    "blkio": ("blkio.throttle.io_service_bytes_recursive", "blkio.throttle.io_serviced_recursive"),
}
_V2 = {
    "cpuacct": ("cpu.stat",),
    "memory": ("memory.current", "memory.max", "memory.stat", "memory.events"),
    "pids": ("pids.current", "pids.max"),
    "blkio": ("io.stat",),
}
_PRESSURE = ("cpu", "memory", "io")

MOST_FILES = 20
"""How many descriptors one of these holds at most."""


class Gauges:
    """One container's files, open. `read` raises OSError (ENODEV) when its groups have gone."""

    __slots__ = ("_files",)

    def __init__(self, groups: Mapping[str, str]) -> None:
        """Open what there is in `groups` (see `apply`). Raises OSError where there are too many descriptors."""
        self._files: dict[str, int] = {}
        try:
            for path, key in _paths(groups):
                self._open(path, key)
        except OSError:
            self.close()
            raise

    def _open(self, path: str, key: str) -> None:
        try:
            self._files[key] = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            # Not every kernel has every file: one without PSI has no pressure, one that is built without it no cfs statistics.
            if error.errno not in (errno.ENOENT, errno.ENODEV, errno.EOPNOTSUPP):
                raise

    def close(self) -> None:
        """Let go of the files; again is allowed."""
        for descriptor in self._files.values():
            os.close(descriptor)
        self._files.clear()

    def read(self) -> Usage:
        """What is used now."""
        found = Usage()
        self._cpu(found)
        self._memory(found)
        if "pids.current" in self._files:
            found.processes = usage.number(self._text("pids.current"))
            limit = usage.number(self._text("pids.max"))
            found.processes_limit = 0 if limit == usage.UNLIMITED else limit
        if "io.stat" in self._files:
            found.transfers = usage.transfers_v2(self._text("io.stat"))
        elif "blkio.throttle.io_service_bytes_recursive" in self._files:
            found.transfers = usage.transfers_v1(self._text("blkio.throttle.io_service_bytes_recursive"))
            found.operations = usage.transfers_v1(self._text("blkio.throttle.io_serviced_recursive"))
        for resource in _PRESSURE:
            text = self._text(f"{resource}.pressure")
            if text:
                found.pressure[resource] = usage.pressure(text)
        return found

    def _cpu(self, found: Usage) -> None:
        if "cpuacct.usage" in self._files:
            names = ("cpuacct.usage", "cpuacct.usage_percpu", "cpuacct.stat", "cpu.stat")
            usage.cpu_v1(found, *(self._text(name) for name in names))
        elif "cpu.stat" in self._files:
            usage.cpu_v2(found, self._text("cpu.stat"))

    def _memory(self, found: Usage) -> None:
        if "memory.stat" not in self._files:
            return
        found.memory_details = usage.keyed(self._text("memory.stat"))
        if "memory.current" in self._files:
            found.memory = usage.number(self._text("memory.current"))
            found.memory_limit = usage.number(self._text("memory.max"))
            found.memory_failures = usage.keyed(self._text("memory.events")).get("oom", 0)
            return
        found.memory = usage.number(self._text("memory.usage_in_bytes"))
        found.memory_peak = usage.number(self._text("memory.max_usage_in_bytes"))
        found.memory_failures = usage.number(self._text("memory.failcnt"))
        found.memory_limit = usage.number(self._text("memory.limit_in_bytes"))

    def _text(self, name: str) -> str:
        descriptor = self._files.get(name)
        if descriptor is None:
            return ""
        try:
            return os.pread(descriptor, _ROOM, 0).decode("ascii", "replace")
        except OSError as error:
            # PSI can be switched off for a group while its file is open.
            if error.errno == errno.EOPNOTSUPP:
                return ""
            raise


def _paths(groups: Mapping[str, str]) -> list[tuple[str, str]]:
    """(path, name) of each file: where a controller is on v1, v1's files, else those of the v2 tree."""
    unified = groups.get(UNIFIED)
    found = []
    for controller, names in _V1.items():
        if controller in groups:
            found += [(f"{groups[controller]}/{name}", name) for name in names]
        elif unified is not None:
            found += [(f"{unified}/{name}", name) for name in _V2.get(controller, ())]
    if unified is not None:
        found += [(f"{unified}/{resource}.pressure", f"{resource}.pressure") for resource in _PRESSURE]
    return found
