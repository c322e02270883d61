"""What must wait until init stands in its control groups: a cgroup namespace of its own, and /sys/fs/cgroup inside it.

A cgroup namespace shows as its root the group that its maker stood in when it was made, so these steps come after GO.

Loaded by the launcher.
"""

from __future__ import annotations

import os

from sampan.kernel.files import Resolve, openat2
from sampan.kernel.mount import MountAttr, mount_setattr, move_mount
from sampan.kernel.namespaces import Clone, unshare
from sampan.runtime.world import Context, attributes, instance

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


def cgroup_namespace(_context: Context) -> None:
    """A cgroup namespace whose root is the container's own group."""
    unshare(Clone.NEWCGROUP)


def cgroup_v2(context: Context, options: list[str]) -> None:
    """/sys/fs/cgroup on cgroup v2: the hierarchy as the namespace shows it."""
    mount = instance(b"cgroup2", [option for option in options if option != "ro"], b"cgroup")
    place = openat2(
        context.mounts["/sys"], b"fs/cgroup", os.O_PATH | os.O_DIRECTORY, Resolve.NO_XDEV | Resolve.NO_SYMLINKS
    )
    try:
        move_mount(mount, place)
    finally:
        os.close(place)
    if attributes(options) & MountAttr.RDONLY:
        mount_setattr(mount, add=MountAttr.RDONLY)


STEPS: dict[str, tuple[str, Callable[..., None]]] = {
    "cgroup_namespace": ("isolation", cgroup_namespace),
    "cgroup_v2": ("control groups", cgroup_v2),
}
"""Name in a plan → principle and function."""
