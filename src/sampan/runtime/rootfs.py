"""The container's root: overlay in place, pivot, mounts shown inside, masks, read-only paths.

All of it runs in init after its world is made. The old root is gone before a single path of the image is walked, so
that whatever a symbolic link says, it leads inside; and still every walk is an openat2(IN_ROOT) from the root's
descriptor without magic links, and every mount is descriptor on descriptor. /proc, /sys, /dev and their children are only
ever opened below mounts of our own making.

Loaded by the launcher.
"""

from __future__ import annotations

import errno
import os
import socket
import stat

from sampan.kernel.files import DEVPTS_SUPER_MAGIC, Resolve, file_system_type, openat2
from sampan.kernel.mount import (
    MNT,
    MountAttr,
    OpenTree,
    mount_setattr,
    move_mount,
    open_tree,
    pivot_root,
    umount2,
)
from sampan.kernel.namespaces import setdomainname
from sampan.kernel.terminal import open_pair, set_size
from sampan.runtime.steps import StepFailed
from sampan.runtime.world import ON_OUR_OWN, OURS, Context, attributes, instance, make_node

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

NEW_ROOT = b"/newroot"
"""An empty directory in the launcher's own root, where the container's root stands for the moment before the pivot."""

_INSIDE = Resolve.IN_ROOT | Resolve.NO_MAGICLINKS


def pivot(context: Context) -> None:
    """The container's root becomes /, and what stood there before is let go."""
    descriptor = os.open(NEW_ROOT, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    move_mount(context.root, descriptor)
    os.close(descriptor)
    os.fchdir(context.root)
    # pivot_root(".", ".") stacks the old root on the new one, so that no directory has to be made in it (pivot_root(2)).
    pivot_root(b".", b".")
    umount2(b".", MNT.DETACH)
    os.chdir("/")


def show(context: Context, destination: str, options: list[str]) -> None:
    """A mount made before is attached where it belongs."""
    if destination in context.attached:
        return
    mount = context.mounts[destination]
    target = _place_for(context, destination)
    try:
        move_mount(mount, target)
    finally:
        os.close(target)
    wanted = attributes(options)
    if wanted & MountAttr.RDONLY:
        mount_setattr(mount, add=MountAttr.RDONLY)


def make_readonly(context: Context, destination: str) -> None:
    """A mount that had to be written to until now becomes read-only (attached ones only: mount_setattr(2), EINVAL)."""
    mount_setattr(context.mounts[destination], add=MountAttr.RDONLY)


def _place_for(context: Context, destination: str) -> int:
    """The mount point of one of our own mounts: a real directory, made if it is missing; never through a link."""
    parent, _, name = destination.rpartition("/")
    if parent in context.mounts:
        return openat2(context.mounts[parent], os.fsencode(name), os.O_PATH | os.O_DIRECTORY, ON_OUR_OWN)
    if destination in OURS:
        try:
            os.mkdir(name, 0o755, dir_fd=context.root)
        except FileExistsError:
            pass
        try:
            flags = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW
            return openat2(context.root, os.fsencode(name), flags, Resolve.NO_SYMLINKS | Resolve.BENEATH)
        except OSError as error:
            # CVE-2019-19921, CVE-2023-27561: masks and labels would go where the link leads.
            message = f"{destination} in the image is not a directory (a symbolic link is refused)"
            raise StepFailed("bad-mount", message, error.errno or 0) from error
    for ours in OURS:
        if destination.startswith(ours + "/") and ours in context.mounts:
            relative = os.fsencode(destination[len(ours) + 1 :])
            return openat2(context.mounts[ours], relative, os.O_PATH, ON_OUR_OWN)
    return make_place(context.root, destination, directory=True)


def make_place(root: int, path: str, directory: bool) -> int:
    """An O_PATH descriptor of `path` inside `root`, made where it is missing: parents as directories, the last as asked.

    Links on the way are followed inside the root only. Raises OSError, ENOTDIR where a file stands in the way.
    """
    encoded = os.fsencode(path)
    try:
        return openat2(root, encoded, os.O_PATH, _INSIDE)
    except FileNotFoundError:
        pass
    parts = [part for part in encoded.split(b"/") if part not in (b"", b".")]
    if b".." in parts or not parts:
        raise OSError(errno.EINVAL, f"mount destination {path!r}")
    walked = os.dup(root)
    try:
        for depth, part in enumerate(parts):
            last = depth == len(parts) - 1
            below = b"/".join(parts[: depth + 1])
            try:
                found = openat2(root, below, os.O_PATH, _INSIDE)
            except FileNotFoundError:
                # A dangling link at this name makes mkdir fail with EEXIST: nothing is made through it.
                if last and not directory:
                    flags = os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
                    os.close(os.open(part, flags, 0o755, dir_fd=walked))
                else:
                    os.mkdir(part, 0o755, dir_fd=walked)
                found = openat2(walked, part, os.O_PATH | os.O_NOFOLLOW, _INSIDE)
            os.close(walked)
            walked = found
        result, walked = walked, -1
        return result
    finally:
        if walked >= 0:
            os.close(walked)


def bind(context: Context, number: int, destination: str) -> None:
    """A file or directory of the host, opened there by the daemon, is attached."""
    tree = context.binds[number]
    is_directory = stat.S_ISDIR(os.fstat(tree).st_mode)
    target = _outside_proc(context, destination, is_directory)
    try:
        move_mount(tree, target)
    except OSError as error:
        raise StepFailed(
            "bad-mount",
            f"error mounting to {destination!r}: {error.strerror}: Are you trying to mount a directory onto a file "
            "(or vice-versa)? Check if the specified host path exists and is the expected type",
            error.errno or 0,
        ) from error
    finally:
        os.close(target)


def _outside_proc(context: Context, destination: str, directory: bool) -> int:
    """The mount point of something that is not ours; refused when it lies in /proc (CVE-2019-16884)."""
    for ours in OURS:
        if (destination == ours or destination.startswith(ours + "/")) and ours in context.mounts and ours == "/dev":
            relative = destination[len(ours) + 1 :]
            if relative:
                return make_place(context.mounts[ours], relative, directory)
    proc = context.mounts.get("/proc", -1)
    if destination.startswith("/proc/") and destination not in _ALLOWED_IN_PROC and proc >= 0:
        raise _inside_proc(destination)
    target = make_place(context.root, destination, directory)
    # However it was reached, by a link of the image for one.
    if proc >= 0 and os.fstat(target).st_dev == os.fstat(proc).st_dev and destination not in _ALLOWED_IN_PROC:
        os.close(target)
        raise _inside_proc(destination)
    return target


def _inside_proc(destination: str) -> StepFailed:
    return StepFailed("bad-mount", f"{destination!r} cannot be mounted because it is inside /proc", errno.EPERM)


# Files that lxcfs provides; runc allows the same.
_ALLOWED_IN_PROC = frozenset(
    "/proc/" + name
    for name in (
        "cpuinfo",
        "diskstats",
        "meminfo",
        "stat",
        "swaps",
        "uptime",
        "loadavg",
        "slabinfo",
        "sys/kernel/ns_last_pid",
    )
)


def tmpfs(context: Context, destination: str, options: list[str]) -> None:
    """An empty file system in memory is attached."""
    words = list(options)
    if not any(word.startswith("mode=") for word in words):
        # Without a mode of its own it takes that of the directory which it covers (runc does so), else the kernel's 1777.
        try:
            beneath = openat2(context.root, os.fsencode(destination), os.O_PATH, _INSIDE)
            words.append(f"mode={stat.S_IMODE(os.fstat(beneath).st_mode):o}")
            os.close(beneath)
        except FileNotFoundError:
            pass
    target = _outside_proc(context, destination, True)
    try:
        move_mount(instance(b"tmpfs", words), target)
    finally:
        os.close(target)


def marker(context: Context, name: str) -> None:
    """An empty file that programs look for to learn that they are in a container."""
    flags = os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        os.close(os.open(name, flags, 0o755, dir_fd=context.root))
    except FileExistsError:
        pass


def more_devices(context: Context, devices: list[list[object]]) -> None:
    """Device nodes beyond the default ones. A bind over /dev brings its own, and then none are made, as in runc."""
    if "/dev" not in context.mounts:
        return
    for device in devices:
        path = str(device[0])
        if path.startswith("/dev/"):
            make_node(context.mounts["/dev"], [path[5:], *device[1:]])
        else:
            make_node(context.root, [path.lstrip("/"), *device[1:]])


def terminal(context: Context, rows: int, columns: int) -> None:
    """A terminal of the container's own /dev/pts; its slave end is the program's input, output and error."""
    devpts = context.mounts.get("/dev/pts", -1)
    if devpts < 0:
        devpts = context.mounts["/dev/pts"] = _foreign_devpts(context)
    context.terminal, slave = open_pair(devpts)
    if rows and columns:
        set_size(slave, rows, columns)
    context.stdio = [slave, os.dup(slave), os.dup(slave)]
    if "/dev" in context.mounts:
        console(context, devpts, slave)


def _foreign_devpts(context: Context) -> int:
    """/dev/pts where it is not of our making: a bind on /dev, or the container that an exec enters. It must be a devpts."""
    descriptor = openat2(context.root, b"dev/pts", os.O_PATH | os.O_DIRECTORY, _INSIDE | Resolve.NO_SYMLINKS)
    if file_system_type(descriptor) != DEVPTS_SUPER_MAGIC:
        os.close(descriptor)
        raise StepFailed("other", "/dev/pts in the container is no devpts file system")
    return descriptor


def console(context: Context, devpts: int, slave: int) -> None:
    """/dev/console is the terminal (CVE-2025-52565: attached by descriptor, and checked to be a pts)."""
    number = os.fstat(slave).st_rdev
    if not 136 <= os.major(number) <= 143:
        raise StepFailed("other", f"the terminal has device number {os.major(number)}:{os.minor(number)}")
    name = str(os.minor(number)).encode()
    copy = open_tree(devpts, name, OpenTree.CLONE | OpenTree.SYMLINK_NOFOLLOW)
    flags = os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    device = context.mounts["/dev"]
    os.close(os.open("console", flags, 0o600, dir_fd=device))
    target = openat2(device, b"console", os.O_PATH, ON_OUR_OWN)
    move_mount(copy, target)
    os.close(target)
    context.console = copy


def host_names(_context: Context, hostname: str, domainname: str) -> None:
    """The name of the machine that the container sees."""
    if hostname:
        socket.sethostname(hostname)
    if domainname:
        setdomainname(domainname.encode())


def readonly_root(context: Context) -> None:
    """The root itself may not be written; what is mounted below keeps its own setting."""
    mount_setattr(context.root, add=MountAttr.RDONLY)


STEPS: dict[str, tuple[str, Callable[..., None]]] = {
    "pivot": ("union file system", pivot),
    "show": ("isolation", show),
    "make_readonly": ("isolation", make_readonly),
    "bind": ("isolation", bind),
    "tmpfs": ("isolation", tmpfs),
    "marker": ("runtime environment", marker),
    "more_devices": ("isolation", more_devices),
    "terminal": ("runtime environment", terminal),
    "host_names": ("isolation", host_names),
    "readonly_root": ("union file system", readonly_root),
}
"""Name in a plan → principle and function."""
