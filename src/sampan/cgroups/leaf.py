"""Room for limits where the engine's reach on v2 begins at a group in which processes stand: a daemon inside a container.

The kernel switches a controller on for the groups below one only while no process stands in it (the root of the whole tree
excepted), and those of a container stand in the highest group that its cgroup namespace or its mount shows.
"""

import errno
import logging
import os

from sampan.cgroups.apply import offered_below
from sampan.cgroups.groupfile import pids, put
from sampan.cgroups.hierarchy import LEAF, Hierarchy
from sampan.cgroups.plan import instance_group

_log = logging.getLogger(__name__)

_ROUNDS = 20


def leaf_group(instance: str) -> str:
    """The name of the group that the processes are moved to, beside the instance's own."""
    return f"{instance_group(instance)}{LEAF}"


def make_room(hierarchy: Hierarchy, instance: str) -> int:
    """Move every process that stands in the highest group of v2 into a leaf below it, where controllers need that.

    They are the daemon's own and those that share its container: all of them stand in the way, and none is outside of
    what was given to us. Nothing is done at the root of the tree, nor where all controllers are on already. The leaf stays:
    who stands in it cannot go back while a controller is on. Returns how many were moved; raises OSError.
    """
    root = hierarchy.v2
    if not root or not offered_below(root) or not os.path.exists(f"{root}/cgroup.type"):
        return 0
    moved = 0
    # What is forked meanwhile stands where its parent stood: look again until nobody does.
    for _ in range(_ROUNDS):
        standing = [pid for pid in pids(root) if pid]
        if not standing:
            break
        leaf = f"{root}/{leaf_group(instance)}"
        os.makedirs(leaf, 0o755, exist_ok=True)
        moved += sum(_move(leaf, pid) for pid in standing)
    if moved:
        _log.info(
            "%d processes moved from %s to %s, so that controllers can be switched on",
            moved,
            root,
            leaf_group(instance),
        )
    return moved


def _move(leaf: str, pid: int) -> bool:
    try:
        put(f"{leaf}/cgroup.procs", str(pid))
    except OSError as error:
        # Ended meanwhile (a zombie is listed and cannot be moved on some kernels: EINVAL).
        if error.errno not in (errno.ESRCH, errno.EINVAL):
            raise
        return False
    return True
