"""Who stands in the namespaces of a container's program, read from /proc: for execs, and where no control group tells it."""

import os

from sampan.host.mapped import is_mapped
from sampan.kernel.namespaces import Clone

_ALL = Clone.NEWPID | Clone.NEWNS | Clone.NEWUTS | Clone.NEWIPC | Clone.NEWNET | Clone.NEWCGROUP
_FILES = {"ipc": Clone.NEWIPC, "uts": Clone.NEWUTS}
"""Namespaces that may be the machine's own: those that a container is allowed to share with it."""


def joined_by_exec(pid: int) -> Clone:
    """The namespaces of `pid` that an exec enters. In a user namespace without the machine's own: setns(2) would refuse them,

    and we stand in them already. Raises OSError where the process is gone.
    """
    if not is_mapped():
        return _ALL
    shared = (flag for name, flag in _FILES.items() if _name(pid, name) == _name("self", name))
    return _ALL & ~sum(shared)


def processes_beside(pid: int) -> list[int]:
    """The processes in the pid namespace of `pid`, ascending; empty where it is gone."""
    try:
        wanted = _name(pid, "pid")
    except OSError:
        return []
    found = []
    for name in os.listdir("/proc"):
        try:
            if name.isdecimal() and _name(name, "pid") == wanted:
                found.append(int(name))
        except OSError:  # ended meanwhile, or another user's
            continue
    return sorted(found)


def _name(pid: int | str, kind: str) -> str:
    return os.readlink(f"/proc/{pid}/ns/{kind}")
