"""Limits by the names that the kernel's own files have, for what Docker has no word: huge pages, RDMA, `memory.high`. Pure.

A key is a control file (`hugetlb.2MB.max`, `rdma.max`), a value what is written there (cgroup-v2.rst, "Controllers"). The tree
that has the key's controller is the one that is written to: v2, or v1 with v1's names (`hugetlb.2MB.limit_in_bytes`).
"""

import re
from collections.abc import Iterator, Mapping

from sampan.cgroups.groupfile import UNIFIED
from sampan.cgroups.hierarchy import Hierarchy
from sampan.errors import InvalidParameter, System

Write = tuple[str, str, str]

CONTROLLERS = frozenset(
    ("blkio", "cpu", "cpuset", "hugetlb", "io", "memory", "misc", "net_cls", "net_prio", "pids", "rdma")
)
"""Whose files limit. Not `cgroup.*` and `freezer.*`, which say where processes stand and whether they run, nor `devices.*`:
those are the engine's to write."""
_KEY = re.compile(r"([a-z_]{1,16})((?:\.[A-Za-z0-9_]{1,64}){1,6})")
_LONGEST = 1024
_MOST = 64


def check(settings: Mapping[str, str]) -> None:
    """Raise InvalidParameter for what is no control file of a controller that limits, or no line to write into one."""
    if len(settings) > _MOST:
        raise InvalidParameter(f"{len(settings)} control files are too many: a container can have {_MOST} set")
    for key, value in settings.items():
        match = _KEY.fullmatch(key)
        if match is None or match[1] not in CONTROLLERS:
            raise InvalidParameter(f"invalid control file {key!r}: it is CONTROLLER.NAME, such as memory.high")
        if not value or len(value) > _LONGEST or not (value.isascii() and value.isprintable()):
            raise InvalidParameter(f"invalid value for {key}: {value[:80]!r}")


def writes(hierarchy: Hierarchy, settings: Mapping[str, str]) -> Iterator[Write]:
    """The writes, in the order of the settings. Raises System where no mounted tree has a key's controller."""
    for key, value in settings.items():
        controller = key.partition(".")[0]
        version = hierarchy.version(controller)
        if version == 0:
            raise System(f"{key} cannot be set on this host: the control group controller {controller} is not mounted")
        yield controller if version == 1 else UNIFIED, key, value
