"""The launcher's own small mount namespace: a tmpfs with the few things that a start needs, bound in at their own paths.

clone3 copies the mount namespace for every container, and a thousand mounts on the host would cost 3 ms a start. It also
cannot see what the host mounts later, which is why the daemon opens bind sources. The root made here has a parent, so that
pivot_root works in its children even where the machine itself runs from an initial ramdisk.

Loaded by the launcher.
"""

from __future__ import annotations

import errno
import os
import stat

from sampan.cgroups import dbus
from sampan.kernel.mount import (
    AT_FDCWD,
    MNT,
    MS,
    MountAttr,
    OpenTree,
    mount,
    mount_setattr,
    move_mount,
    open_tree,
    pivot_root,
    umount2,
)
from sampan.kernel.namespaces import Clone, unshare
from sampan.runtime.rootfs import NEW_ROOT

HOST_ROOT = "/.sampan-host-root"
"""Where the machine's own root stands, read-only, for the image `host`. The same constant is in `spec.rootfs`."""
SYSTEMD = os.path.dirname(dbus.SYSTEMD)
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
    # Every source is opened before the tmpfs hides the directory it is mounted on.
    trees = [
        (HOST_HIDDEN, host_layer),
        (HOST_ROOT, _copy("/", MountAttr.RDONLY)),
        ("/proc", _copy("/proc", MountAttr.NOSUID | MountAttr.NODEV | MountAttr.NOEXEC)),
        # A user namespace may mount sysfs only where a whole one is seen already; the same goes for /proc.
        ("/sys", _copy("/sys", MountAttr.NOSUID | MountAttr.NODEV | MountAttr.NOEXEC)),
        ("/sys/fs/cgroup", _copy("/sys/fs/cgroup", MountAttr(0), recursive=True)),
        (data_root, _copy(data_root, MountAttr(0), recursive=True)),
        (exec_root, _copy(exec_root, MountAttr(0))),
        # Where systemd listens, for containers in scopes of its.
        (SYSTEMD, _copy(SYSTEMD, MountAttr.RDONLY | MountAttr.NOSUID | MountAttr.NODEV | MountAttr.NOEXEC)),
    ]
    mount(b"sampan", os.fsencode(base), b"tmpfs", MS.NOSUID, b"size=1m,mode=755")
    os.chdir(base)
    os.mkdir(os.fsdecode(NEW_ROOT)[1:], 0o755)
    os.mkdir("dev", 0o755)
    os.mknod("dev/null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    os.chmod("dev/null", 0o666)  # noqa: S103 - the null device is for everyone
    for path, tree in trees:
        if tree < 0:
            continue
        os.makedirs(path[1:], 0o755, exist_ok=True)
        place = os.open(path[1:], os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        move_mount(tree, place)
        os.close(place)
        os.close(tree)
    _become_root()


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


def _become_root() -> None:
    """The working directory becomes /."""
    try:
        pivot_root(b".", b".")
        umount2(b".", MNT.DETACH)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        # The machine's root is the initial rootfs, which cannot be pivoted away from: cover it (switch_root does so).
        mount(b".", b"/", None, MS.MOVE)
        os.chroot(".")
    os.chdir("/")
