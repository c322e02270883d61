"""Where control groups are on this host: v1, v2 or both, as this process's mount namespace shows them.

What is mounted may be the whole tree or a part of it (a daemon in a container): either way the mount point is the highest
group that can be reached, and the engine's groups are made below it.
"""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from sampan.cgroups.groupfile import UNIFIED
from sampan.host.mapped import is_mapped

LEAF = "-leaf"
"""How the groups end that a daemon has moved processes into (`leaf`)."""
_OCTAL = re.compile(r"\\([0-7]{3})")


class Mode(StrEnum):
    """How control groups are mounted."""

    NONE = "none"
    V1 = "v1"
    V2 = "v2"
    HYBRID = "hybrid"
    """controllers on v1 and a v2 tree beside them, bare or with those that v1 does not have"""


@dataclass(frozen=True, slots=True)
class Hierarchy:
    """The trees of this host. `v1` maps controller to mount point; co-mounted ones share it; `name=systemd` is "systemd" here."""

    v1: Mapping[str, str]
    v2: str = ""
    """the mount point of the v2 tree, "" where there is none"""
    v2_controllers: frozenset[str] = frozenset()
    v2_weight: str = "io.bfq.weight"
    """the file of v2 that takes the weight of block I/O (`means.probe` looks): the BFQ scheduler's, or `io.weight`"""
    optional: bool = False
    """whether containers may stand without groups of their own: those of an ordinary user to whom none are delegated"""
    guards_devices: bool = True
    """whether rules of devices can be set; root of a user namespace cannot, and the kernel opens no device for it anyway"""

    @property
    def mode(self) -> Mode:
        """Which of the four this is."""
        if self.v1:
            return Mode.HYBRID if self.v2 else Mode.V1
        return Mode.V2 if self.v2 else Mode.NONE

    def version(self, controller: str) -> int:
        """1 or 2 for the tree that has `controller` (v1's name of it), 0 where none has."""
        if controller in self.v1:
            return 1
        if not self.v2:
            return 0
        if controller in ("devices", "freezer"):
            # A BPF program and cgroup.freeze: in every v2 group, without a controller.
            return 2
        return 2 if _ON_V2.get(controller, controller) in self.v2_controllers else 0

    def roots(self) -> dict[str, str]:
        """Name in a plan's groups → mount point, the v2 tree last."""
        return {**self.v1, **({UNIFIED: self.v2} if self.v2 else {})}


_ON_V2 = {"blkio": "io", "cpuacct": "cpu"}


@dataclass(frozen=True, slots=True)
class Mounted:
    """One line of mountinfo that shows control groups: `root` is the group that is seen at `place`."""

    root: str
    place: str
    writable: bool
    v2: bool
    options: tuple[str, ...]


def detect() -> Hierarchy:
    """The hierarchies of this process. Raises OSError where /proc is not readable."""
    mounts = parse_mountinfo(_text("/proc/self/mountinfo"))
    controllers = [line.split("\t", 1)[0] for line in _text("/proc/cgroups").splitlines() if not line.startswith("#")]
    own = parse_membership(_text("/proc/self/cgroup"))
    found = arrange(mounts, controllers, own)
    if is_mapped():
        found = delegated(found, mounts, own)
    if not found.v2:
        return found
    offered = frozenset(_text(os.path.join(found.v2, "cgroup.controllers")).split())
    return Hierarchy(found.v1, found.v2, offered, found.v2_weight, found.optional, found.guards_devices)


def delegated(found: Hierarchy, mounts: Iterable[Mounted], own: Mapping[str, str]) -> Hierarchy:
    """Of `found`, what root of a user namespace may write to, tried.

    On v2 that may be a group further down: the one that this process stands in, where systemd has given it away
    (Delegate=, org.freedesktop.systemd1(5)), or its parent, where an earlier daemon moved everybody into a leaf below it.
    """
    v1 = {name: place for name, place in found.v1.items() if _is_ours(place, "tasks")}
    v2 = next((place for place in _candidates(found, mounts, own) if _is_ours(place, "cgroup.procs")), "")
    return Hierarchy(v1, v2, optional=not v2 and not v1, guards_devices=False)


def delegated_here() -> str:
    """The group of the v2 tree in which this process may make others, whoever it is; empty where there is none."""
    mounts = parse_mountinfo(_text("/proc/self/mountinfo"))
    found = arrange(mounts, (), parse_membership(_text("/proc/self/cgroup")))
    return delegated(found, mounts, parse_membership(_text("/proc/self/cgroup"))).v2


def _candidates(found: Hierarchy, mounts: Iterable[Mounted], own: Mapping[str, str]) -> Iterator[str]:
    if not found.v2:
        return
    yield found.v2
    group = own.get("", "/")
    root = next((mount.root for mount in mounts if mount.v2 and mount.place == found.v2), "/").rstrip("/")
    if not (group + "/").startswith(root + "/"):
        return
    standing = found.v2 + group[len(root) :]
    if os.path.basename(standing).endswith(LEAF):
        yield os.path.dirname(standing)
    yield standing


def _is_ours(place: str, door: str) -> bool:
    return os.access(place, os.W_OK | os.X_OK) and os.access(os.path.join(place, door), os.W_OK)


def parse_mountinfo(text: str) -> list[Mounted]:
    """The mounts of control groups in /proc/PID/mountinfo (proc_pid_mountinfo(5)), in its order."""
    found = []
    for line in text.split("\n"):  # not splitlines, for which more ends a line than for the kernel
        before, _, after = line.partition(" - ")
        fields, kind = before.split(" "), after.split(" ")
        if len(fields) < 6 or len(kind) < 3 or kind[0] not in ("cgroup", "cgroup2"):
            continue
        root, place = _unescaped(fields[3]), _unescaped(fields[4])
        found.append(
            Mounted(root, place, "rw" in fields[5].split(","), kind[0] == "cgroup2", tuple(kind[2].split(",")))
        )
    return found


def parse_membership(text: str) -> dict[str, str]:
    """Controller, `name=…` or "" (v2) → the group this process stands in (/proc/PID/cgroup, cgroups(7))."""
    groups = {}
    for line in filter(None, text.split("\n")):  # as above: groups have names
        _, names, group = line.split(":", 2)
        groups.update(dict.fromkeys(names.split(","), group))
    return groups


def arrange(mounts: Iterable[Mounted], controllers: Iterable[str], own: Mapping[str, str]) -> Hierarchy:
    """Choose a mount for each controller and for v2. Pure; what v2 offers is not known here.

    Where a hierarchy is mounted more than once, a writable mount goes first, and one that shows our own group.
    """
    known = set(controllers)
    v1: dict[str, Mounted] = {}
    v2: Mounted | None = None
    for mount in mounts:
        if mount.v2:
            v2 = mount if v2 is None or _rank(mount, own.get("")) > _rank(v2, own.get("")) else v2
            continue
        names = [option for option in mount.options if option in known]
        names = names or [option for option in mount.options if option.startswith("name=")]
        for name in names:
            key = name.removeprefix("name=")
            if key not in v1 or _rank(mount, own.get(name)) > _rank(v1[key], own.get(name)):
                v1[key] = mount
    return Hierarchy({name: mount.place for name, mount in v1.items()}, v2.place if v2 else "")


def _rank(mount: Mounted, own: str | None) -> tuple[bool, bool]:
    shows_us = own is not None and (own + "/").startswith(mount.root.rstrip("/") + "/")
    return mount.writable, shows_us


def _unescaped(text: str) -> str:
    return _OCTAL.sub(lambda match: chr(int(match[1], 8)), text)


def _text(path: str) -> str:
    with open(path, encoding="utf-8", errors="surrogateescape") as file:
        return file.read()
