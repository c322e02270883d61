"""The launcher's own small mount namespace: a tmpfs with the few things that a start needs, bound in at their own paths.

clone3 copies the mount namespace for every container, and a thousand mounts on the host would cost 3 ms a start. It also
cannot see what the host mounts later, which is why the daemon opens bind sources. The root made here has a parent, so that
pivot_root works in its children even where the machine itself runs from an initial ramdisk.

Loaded by the launcher.
"""

from __future__ import annotations

import os
import stat

from sampan.cgroups import dbus
from sampan.files.own_root import become_root
from sampan.host.mapped import is_mapped
from sampan.kernel.mount import (
    AT_FDCWD,
    MS,
    MountAttr,
    OpenTree,
    mount,
    mount_setattr,
    move_mount,
    open_tree,
)
from sampan.kernel.namespaces import Clone, unshare
from sampan.runtime.rootfs import NEW_ROOT

HOST_ROOT = "/.sampan-host-root"
"""Where the machine's own root stands, read-only, for the image `host`. The same constant is in `spec.rootfs`."""
SYSTEMD = os.path.dirname(dbus.SYSTEMD)
NODES = ("null", "zero", "full", "random", "urandom", "tty")
"""Devices of the machine that stand in its /dev where none can be made; `world.dev` shows them in containers."""
HOST_HIDDEN = "/.sampan-host-hidden"
"""Where the layer stands that hides what a container of the image `host` must not see of it; also in `spec.rootfs`."""


def enter(data_root: str, exec_root: str, host_layer: int) -> None:
    """Move this process into the small namespace. It must have one thread. Raises OSError.

    `host_layer` is a detached mount, or -1; it is closed.
    """
    unshare(Clone.NEWNS)
    mount(None, b"/", None, MS.REC | MS.PRIVATE)
    base = exec_root + "/launcher-root"
    os.makedirs(base, 0o700, exist_ok=True)
    mapped = is_mapped()
    # Every source is opened before the tmpfs hides the directory it is mounted on.
    trees = [
        (HOST_HIDDEN, host_layer),
        *(_of_user() if mapped else _of_machine()),
        (data_root, _copy(data_root, MountAttr(0), recursive=True)),
        (exec_root, _copy(exec_root, MountAttr(0))),
    ]
    nodes = [(f"/dev/{name}", _copy(f"/dev/{name}", MountAttr(0))) for name in NODES] if mapped else []
    mount(b"sampan", os.fsencode(base), b"tmpfs", MS.NOSUID, b"size=1m,mode=755")
    os.chdir(base)
    os.mkdir(os.fsdecode(NEW_ROOT)[1:], 0o755)
    os.mkdir("dev", 0o755)
    if not mapped:
        os.mknod("dev/null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
        os.chmod("dev/null", 0o666)  # noqa: S103 - the null device is for everyone
    for path, tree in trees:
        if tree >= 0:
            os.makedirs(path[1:], 0o755, exist_ok=True)
            _show(tree, path[1:])
    for path, tree in nodes:
        os.close(os.open(path[1:], os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        _show(tree, path[1:])
    become_root()


def _of_machine() -> list[tuple[str, int]]:
    return [
        (HOST_ROOT, _copy("/", MountAttr.RDONLY)),
        ("/proc", _copy("/proc", MountAttr.NOSUID | MountAttr.NODEV | MountAttr.NOEXEC)),
        # A user namespace may mount sysfs only where a whole one is seen already; the same goes for /proc.
        ("/sys", _copy("/sys", MountAttr.NOSUID | MountAttr.NODEV | MountAttr.NOEXEC)),
        ("/sys/fs/cgroup", _copy("/sys/fs/cgroup", MountAttr(0), recursive=True)),
        # Where systemd listens, for containers in scopes of its.
        (SYSTEMD, _copy(SYSTEMD, MountAttr.RDONLY | MountAttr.NOSUID | MountAttr.NODEV | MountAttr.NOEXEC)),
    ]


def _of_user() -> list[tuple[str, int]]:
    """What root of a user namespace can show: mounts of the machine are locked to those below them, and come as one.

    A new /proc and /sys is given only to whoever sees the machine's own in its mount namespace, nothing of it covered
    (mount_too_revealing() in fs/namespace.c).
    """
    flags = MountAttr.NOSUID | MountAttr.NODEV | MountAttr.NOEXEC
    return [
        ("/proc", _copy("/proc", flags, recursive=True)),
        ("/sys", _copy("/sys", flags, recursive=True)),
    ]


def _show(tree: int, path: str) -> None:
    place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    move_mount(tree, place)
    os.close(place)
    os.close(tree)


def _copy(path: str, attributes: MountAttr, recursive: bool = False) -> int:
    flags = OpenTree.CLONE | (OpenTree.RECURSIVE if recursive else OpenTree(0))
    try:
        tree = open_tree(AT_FDCWD, os.fsencode(path), flags)
    except FileNotFoundError:
        # A machine without control groups mounted; starts then fail by name when they need one.
        return -1
    if attributes:
        mount_setattr(tree, add=attributes, recursive=recursive)
    return tree
