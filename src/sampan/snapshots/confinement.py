"""How a process that handles the files of others gives up everything else: a root of its own, few capabilities, limits, a filter.

Whoever took it over by an archive or by a container's files would find a mount namespace that holds nothing but these files, no
capability but those for writing them, no network, no way to start a program or to look at another process. Loaded by jailed
processes only: standard library modules without typing.
"""

from __future__ import annotations

import os
import resource
import sys

from sampan.files import own_root
from sampan.kernel.caps import Cap, capset, clear_ambient, drop_bounding, last_cap
from sampan.kernel.mount import MS, mount, move_mount
from sampan.kernel.namespaces import Clone, unshare
from sampan.kernel.process import Prctl, prctl
from sampan.kernel.seccomp import install_filter
from sampan.snapshots.jail_filter import program

_CAPS = (Cap.CHOWN, Cap.DAC_OVERRIDE, Cap.FOWNER, Cap.FSETID, Cap.MKNOD, Cap.SETFCAP)
_MEMORY = 2 << 30
_CPU_SECONDS = 3600


class Means:
    """What has to be read while the machine's own root is still there."""

    __slots__ = ("highest", "refusals")

    def __init__(self) -> None:
        self.highest = last_cap()
        self.refusals = program()


def isolate() -> None:
    """Namespaces of this process's own; from here on nothing can be imported. It must have one thread. Raises OSError."""
    sys.meta_path.clear()  # nothing is imported from a root that somebody else fills
    os.umask(0)
    unshare(Clone.NEWNS | Clone.NEWNET | Clone.NEWIPC | Clone.NEWUTS)
    mount(None, b"/", None, MS.REC | MS.PRIVATE)


def become_root(root: int) -> None:
    """The detached mount `root` becomes /, and what stood there is let go. After `isolate`. Raises OSError."""
    over = os.open("/", os.O_PATH | os.O_DIRECTORY)
    move_mount(root, over)
    os.close(over)
    os.fchdir(root)
    # A copy of a mount is shared as that is, with systemd all are: nothing can be pivoted to it then (pivot_root(2), EINVAL).
    mount(None, b".", None, MS.REC | MS.PRIVATE)
    own_root.become_root()


def give_up(means: Means, limit: int) -> None:
    """Limits (`limit`: bytes of one file), capabilities, the filter: nothing that is dropped here comes back."""
    for kind, value in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_AS, _MEMORY),
        (resource.RLIMIT_CPU, _CPU_SECONDS),
        (resource.RLIMIT_FSIZE, limit),
        (resource.RLIMIT_NOFILE, 1024),
    ):
        resource.setrlimit(kind, (value, value))
    mask = sum(1 << cap for cap in _CAPS)
    prctl(Prctl.SET_NO_NEW_PRIVS, 1)
    clear_ambient()
    drop_bounding(0, means.highest)
    capset(mask, mask, 0)
    prctl(Prctl.SET_DUMPABLE, 0)
    install_filter(means.refusals)
