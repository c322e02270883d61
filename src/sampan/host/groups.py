"""Probes of control groups: which hierarchy has what, and whether a limit can be set there."""

import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from sampan.host.finding import Lacking, Probe
from sampan.kernel.bpf import attach_device_program

_V2_NAME = {"blkio": "io", "cpuacct": "cpu"}
# What v2 does without a controller: a BPF program, and cgroup.freeze.
_BUILT_IN = frozenset({"devices", "freezer"})


@dataclass(frozen=True, slots=True)
class Hierarchies:
    """Where control groups are mounted: v1 by controller, v2 ("" where it is not)."""

    v1: dict[str, str]
    v2: str
    v2_controllers: frozenset[str]

    @property
    def mode(self) -> str:
        """unified (v2 only), hybrid (controllers on v1, a v2 tree beside them), legacy (v1 only), none"""
        if not self.v1:
            return "unified" if self.v2 else "none"
        return "hybrid" if self.v2 else "legacy"

    def place(self, controller: str) -> tuple[str, int]:
        """The directory and the version (1, 2) that `controller` is to be used in; ("", 0) where there is none."""
        if controller in self.v1:
            return self.v1[controller], 1
        name = _V2_NAME.get(controller, controller)
        if self.v2 and (name in self.v2_controllers or (controller in _BUILT_IN and not self.v1)):
            return self.v2, 2
        return "", 0


def hierarchies() -> Hierarchies:
    """What is mounted in this mount namespace."""
    v1: dict[str, str] = {}
    v2 = ""
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        for line in file:
            before, _, after = line.partition(" - ")
            kind, _, super_options = after.rstrip("\n").split(" ", 2)
            place = before.split(" ")[4]
            if kind == "cgroup2":
                v2 = v2 or place
            elif kind == "cgroup":
                for option in super_options.split(","):
                    v1.setdefault(option, place)
    known = {name: v1[name] for name in v1 if name in _controllers()}
    controllers = frozenset(_words(os.path.join(v2, "cgroup.controllers"))) if v2 else frozenset()
    return Hierarchies(known, v2, controllers)


def _controllers() -> frozenset[str]:
    with open("/proc/cgroups", encoding="ascii") as file:
        return frozenset(line.split("\t", 1)[0] for line in file if not line.startswith("#"))


def _words(path: str) -> list[str]:
    with open(path, encoding="ascii") as file:
        return file.read().split()


@contextmanager
def _group(parent: str) -> Iterator[str]:
    place = os.path.join(parent, f"sampan-probe-{os.getpid()}")
    os.mkdir(place)
    try:
        yield place
    finally:
        os.rmdir(place)


def _mode() -> str:
    found = hierarchies()
    if found.mode == "none":
        raise Lacking("no control groups are mounted", "mount -t cgroup2 cgroup2 /sys/fs/cgroup")
    names = sorted(found.v2_controllers) if found.mode == "unified" else sorted(found.v1)
    return f"{found.mode}; controllers: {' '.join(names)}"


def _limit(controller: str, v1: tuple[str, str], v2: tuple[str, str]) -> str:
    """Set a limit in a group of our own: (file, text) for each version."""
    place, version = hierarchies().place(controller)
    if not version:
        raise Lacking(f"the controller {controller} is on no mounted hierarchy")
    file, text = v1 if version == 1 else v2
    with _group(place) as group:
        path = os.path.join(group, file)
        if version == 2 and not os.path.exists(path):
            # Enabling a controller for all children of the root is the engine's business, not a probe's.
            return "on cgroup v2, not enabled in the root group yet"
        with open(path, "r+", encoding="ascii") as opened:
            opened.write(text)
            opened.flush()
    return f"on cgroup v{version}"


def _devices() -> str:
    """Deny everything in a group of our own: by its file on v1, by a program on v2."""
    place, version = hierarchies().place("devices")
    if not version:
        raise Lacking("the controller devices is on no mounted hierarchy")
    with _group(place) as group:
        if version == 1:
            with open(os.path.join(group, "devices.deny"), "w", encoding="ascii") as file:
                file.write("a")
        else:
            directory = os.open(group, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            attach_device_program(directory, _DENY_ALL)
            os.close(directory)
    return f"on cgroup v{version}"


def _swap() -> str:
    place, version = hierarchies().place("memory")
    if not version:
        raise Lacking("the controller memory is on no mounted hierarchy")
    with _group(place) as group:
        file = "memory.memsw.limit_in_bytes" if version == 1 else "memory.swap.max"
        enabled = version == 1 or os.path.exists(os.path.join(group, "memory.max"))
        if enabled and not os.path.exists(os.path.join(group, file)):
            raise Lacking(f"{file} is not there")
    return ""


def _kill() -> str:
    found = hierarchies()
    if not found.v2:
        raise Lacking("no cgroup v2 tree is mounted")
    with _group(found.v2) as group:
        missing = [
            name for name in ("cgroup.kill", "cgroup.freeze", "cgroup.events") if not os.path.exists(f"{group}/{name}")
        ]
    if missing:
        raise Lacking(f"{missing[0]} is not there")
    return f"in {found.v2}"


_TABLE = (
    ("memory limit", "memory", ("memory.limit_in_bytes", "67108864"), ("memory.max", "67108864"), "--memory"),
    ("pids limit", "pids", ("pids.max", "100"), ("pids.max", "100"), "--pids-limit"),
    ("cpu limit", "cpu", ("cpu.cfs_quota_us", "50000"), ("cpu.max", "50000 100000"), "--cpus, --cpu-quota"),
    ("cpu shares", "cpu", ("cpu.shares", "512"), ("cpu.weight", "20"), "--cpu-shares"),
    ("cpu sets", "cpuset", ("cpuset.cpus", "0"), ("cpuset.cpus", "0"), "--cpuset-cpus"),
    ("freezer", "freezer", ("freezer.state", "THAWED"), ("cgroup.freeze", "0"), "pause"),
)

# r0 = 0; exit: no access to any device.
_DENY_ALL = struct.pack("=BBhi", 0xB7, 0, 0, 0) + struct.pack("=BBhi", 0x95, 0, 0, 0)

PROBES = (
    Probe("control groups", "groups", _mode, needed=True),
    *(
        Probe(name, "groups", partial(_limit, controller, v1, v2), f"what does not work without: {lost}")
        for name, controller, v1, v2, lost in _TABLE
    ),
    Probe(
        "device rules", "groups", _devices, "devices are not guarded: on cgroup v2 it takes CAP_BPF or CAP_SYS_ADMIN"
    ),
    Probe("swap limit", "groups", _swap, "boot with swapaccount=1; --memory-swap has no effect"),
    Probe("cgroup.kill", "groups", _kill, "containers are killed process by process, after they are frozen"),
)
