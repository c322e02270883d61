"""Probes of namespaces, and of the system calls that a start is made of."""

import os

from sampan.host.finding import Lacking, Probe
from sampan.kernel.files import Resolve, openat2
from sampan.kernel.mount import (
    MS,
    MountAttr,
    OpenTree,
    fsconfig_create,
    fsmount,
    fsopen,
    mount,
    mount_setattr,
    open_tree,
)
from sampan.kernel.namespaces import Clone, clone3, unshare
from sampan.kernel.process import close_from

_AT_FDCWD = -100
_OLDEST = (5, 12)


def _kernel() -> str:
    release = os.uname().release
    numbers = [int(part) for part in release.split("-", 1)[0].split(".")[:2] if part.isdecimal()]
    if tuple(numbers) < _OLDEST:
        raise Lacking(f"Linux {release} is older than {_OLDEST[0]}.{_OLDEST[1]}: mount_setattr(2) is missing")
    return f"Linux {release} on {os.uname().machine}"


def _new(flag: Clone) -> str:
    unshare(flag)
    return ""


def _new_pid() -> str:
    unshare(Clone.NEWPID)
    reader, writer = os.pipe()
    if os.fork() == 0:
        os.write(writer, str(os.getpid()).encode())
        os._exit(0)
    os.close(writer)
    inside = os.read(reader, 16)
    os.wait()
    if inside != b"1":
        raise Lacking(f"the first process of a new pid namespace is {inside.decode()!r}")
    return ""


def _new_time() -> str:
    unshare(Clone.NEWTIME)
    with open("/proc/self/timens_offsets", "rb") as file:
        file.read()
    return ""


def map_root() -> None:
    """A user namespace in which this process is root; for probes only."""
    user, group = os.geteuid(), os.getegid()
    unshare(Clone.NEWUSER)
    for name, content in (("setgroups", "deny"), ("uid_map", f"0 {user} 1"), ("gid_map", f"0 {group} 1")):
        with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
            file.write(content)


def _new_user() -> str:
    map_root()
    if os.geteuid() != 0:
        raise Lacking("the id map does not make this process root")
    return ""


def private_mounts() -> None:
    """A mount namespace that tells the host's nothing."""
    unshare(Clone.NEWNS)
    mount(None, b"/", None, MS.REC | MS.PRIVATE)


def _new_mount() -> str:
    private_mounts()
    return ""


def _openat2() -> str:
    root = os.open("/", os.O_PATH | os.O_CLOEXEC)
    os.close(openat2(root, b"proc", os.O_PATH | os.O_CLOEXEC, Resolve.IN_ROOT | Resolve.NO_MAGICLINKS))
    return ""


def _mount_interface() -> str:
    private_mounts()
    context = fsopen(b"tmpfs")
    fsconfig_create(context)
    tree = fsmount(context)
    mount_setattr(tree, add=MountAttr.RDONLY)
    os.close(open_tree(_AT_FDCWD, b"/", OpenTree.CLONE))
    try:
        os.mkdir("x", dir_fd=tree)
    except OSError:
        return ""
    raise Lacking("mount_setattr(MOUNT_ATTR_RDONLY) has no effect")


def _pidfd() -> str:
    descriptor = os.pidfd_open(os.getpid())
    os.close(descriptor)
    return ""


def _clone3() -> str:
    pid, pidfd = clone3(Clone.NEWNS | Clone.NEWUTS)
    if pid == 0:
        os._exit(0)
    os.close(pidfd)
    os.waitpid(pid, 0)
    return ""


def _close_range() -> str:
    reader, _writer = os.pipe()
    report = os.dup(reader)
    close_from(report)
    try:
        os.fstat(report)
    except OSError:
        return ""
    raise Lacking("close_range(2) closes nothing")


_CONTAINER = "is the engine itself in a container? It needs --privileged there"
_OFF = "the kernel was built without it"

PROBES = (
    Probe("kernel", "kernel", _kernel, "install a newer kernel", needed=True),
    Probe("openat2", "kernel", _openat2, "paths of images cannot be resolved safely without it", needed=True),
    Probe("mount interface", "kernel", _mount_interface, "fsopen, open_tree, mount_setattr: Linux 5.12", needed=True),
    Probe("pidfd", "kernel", _pidfd, "Linux 5.3", needed=True),
    Probe("clone3", "kernel", _clone3, "a seccomp filter around the engine may hide it", needed=True),
    Probe("mount namespace", "isolation", _new_mount, _CONTAINER, needed=True),
    Probe("pid namespace", "isolation", _new_pid, _CONTAINER, needed=True),
    Probe("uts namespace", "isolation", lambda: _new(Clone.NEWUTS), _OFF, needed=True),
    Probe("ipc namespace", "isolation", lambda: _new(Clone.NEWIPC), _OFF, needed=True),
    Probe("network namespace", "isolation", lambda: _new(Clone.NEWNET), _OFF, needed=True),
    Probe("cgroup namespace", "isolation", lambda: _new(Clone.NEWCGROUP), _OFF),
    Probe(
        "user namespace", "isolation", _new_user, "user.max_user_namespaces or a policy of the distribution forbids it"
    ),
    Probe("time namespace", "isolation", _new_time, "Linux 5.6 with CONFIG_TIME_NS; containers use the host's clocks"),
)
