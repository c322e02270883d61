"""What an engine has on the host: mounts, control groups, interfaces, firewall rules, processes, namespaces, directories.

A snapshot holds only what carries one of the marks it was given (an instance id, a data root, an exec root), so that other
engines on the machine do not disturb it; `everything()` takes the whole host, for a machine that runs nothing else.
"""

import contextlib
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.processes import holding_sockets_below

POLL_SECONDS = 10.0


@dataclass(frozen=True)
class Snapshot:
    """Lines of text, each one thing on the host, `kind: what`."""

    things: frozenset[str]

    def beyond(self, earlier: "Snapshot") -> list[str]:
        """What is here and was not in `earlier`."""
        return sorted(self.things - earlier.things)


def marked(*marks: str) -> Snapshot:
    """What carries one of `marks` now."""
    return Snapshot(frozenset(thing for thing in _things(marks) if any(mark in thing for mark in marks)))


def everything() -> Snapshot:
    """All mounts, groups, interfaces, rules and network namespaces of the host. Processes come and go: they are left out."""
    return Snapshot(frozenset(thing for source in _HOST for thing in source()))


def settled(take: Callable[[], Snapshot], before: Snapshot, seconds: float = POLL_SECONDS) -> list[str]:
    """Leaks: what `take` still finds beyond `before` after up to `seconds`. Empty as soon as nothing is left."""
    deadline = time.monotonic() + seconds
    while True:
        left = take().beyond(before)
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(0.1)


def clear(instance: str) -> None:
    """After a failure was noted: end the instance's processes and remove its groups, so that later tests start clean."""
    for hierarchy in hierarchies():
        beside = [*Path(hierarchy, "docker").glob("*"), *Path(hierarchy, "system.slice").glob("docker-*.scope")]
        own = [path for path in beside if _mark(str(path)) == f" of {instance}"]
        roots = [os.path.join(hierarchy, f"sampan-{instance}"), *map(str, own)]
        for directory in (below for root in roots for below, _, _ in os.walk(root, topdown=False)):
            for pid in _read(f"{directory}/cgroup.procs").split():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
            with contextlib.suppress(OSError):
                os.rmdir(directory)


def _things(marks: tuple[str, ...]) -> Iterator[str]:
    for source in _HOST:
        yield from source()
    yield from _processes(marks)
    for mark in marks:
        if mark.startswith("/") and os.path.isdir(mark):
            yield from (f"directory: {mark}/{name}" for name in _leftover(Path(mark)))


def _leftover(root: Path) -> Iterator[str]:
    """Below a data or exec root: what belongs to one container each, and must go with it."""
    for kind in ("containers", "rw", "trash"):
        if (root / kind).is_dir():
            yield from (f"{kind}/{entry.name}" for entry in (root / kind).iterdir())


def _mounts() -> Iterator[str]:
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        fields = line.split(" ")
        yield f"mount: {fields[4]} {line.partition(' - ')[2]}"


def _groups() -> Iterator[str]:
    for hierarchy in hierarchies():
        for directory, names, _ in os.walk(hierarchy):
            yield from (f"cgroup: {directory}/{name}{_mark(f'{directory}/{name}')}" for name in names)


def groups_called(name: str) -> list[str]:
    """The control groups of one container, in every tree."""
    return [thing.split()[1] for thing in _groups() if f"/{name}" in thing]


def _mark(group: str) -> str:
    """The instance that a group beside those of other engines belongs to."""
    try:
        return f" of {os.getxattr(group, 'trusted.sampan').decode()}"
    except OSError:
        return ""


def hierarchies() -> list[str]:
    """Mount points of every cgroup tree."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return [line.split(" ")[4] for line in lines if line.partition(" - ")[2].startswith(("cgroup ", "cgroup2 "))]


def _interfaces() -> Iterator[str]:
    for interface in Path("/sys/class/net").iterdir():
        try:
            alias = (interface / "ifalias").read_text().strip()
        except OSError:
            continue  # it went while we looked
        yield f"interface: {interface.name} {alias}"


def _rules() -> Iterator[str]:
    listed = subprocess.run(["nft", "list", "ruleset"], capture_output=True, text=True, check=False, timeout=20).stdout
    table = ""
    for line in listed.splitlines():
        table = line if line.startswith("table ") else table
        yield f"nft: {table} | {re.sub(r'packets [0-9]+ bytes [0-9]+', '', line.strip())}"


def _network_namespaces() -> Iterator[str]:
    for pinned in ("/run/netns", "/run/docker/netns"):
        if os.path.isdir(pinned):
            yield from (f"netns: {pinned}/{name}" for name in os.listdir(pinned))


def _processes(marks: tuple[str, ...]) -> Iterator[str]:
    """Processes that carry a mark in their arguments, control groups or mounts, or hold a socket below a marked directory."""
    for mark in marks:
        if mark.startswith("/"):
            yield from (f"process: {one.pid} {one.title} ({mark})" for one in holding_sockets_below(mark))
    for pid in filter(str.isdecimal, os.listdir("/proc")):
        if int(pid) == os.getpid():
            continue
        facts = [_read(f"/proc/{pid}/{name}") for name in ("cmdline", "cgroup", "mountinfo")]
        found = next((mark for mark in marks if any(mark.encode() in fact for fact in facts)), None)
        # A process that shares our mount namespace sees the marked mounts without being the engine's.
        if found and (found.encode() in facts[0] + facts[1] or not _shares_our_mounts(pid)):
            yield f"process: {pid} {facts[0].replace(bytes(1), b' ').decode(errors='replace').strip()} ({found})"


def _shares_our_mounts(pid: str) -> bool:
    try:
        return os.readlink(f"/proc/{pid}/ns/mnt") == os.readlink("/proc/self/ns/mnt")
    except OSError:
        return True  # it is gone


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError:
        return b""


_HOST: tuple[Callable[[], Iterator[str]], ...] = (_mounts, _groups, _interfaces, _rules, _network_namespaces)
