"""The world of a container that does not depend on its image: /proc, /sys, /dev and the rest, as detached mounts.

These steps run in init, inside its new namespaces and before its root is known; that is what lets a parked slot take
them ahead of time. Nothing is attached yet: each mount is a descriptor in `Context.mounts` until `rootfs` shows it.
Mount options are Docker's.

Loaded by the launcher.
"""

from __future__ import annotations

import errno
import os
import stat

from sampan.host.mapped import is_mapped
from sampan.kernel.files import Resolve, openat2
from sampan.kernel.mount import (
    AT_FDCWD,
    MountAttr,
    OpenTree,
    fsconfig_create,
    fsconfig_string,
    fsmount,
    fsopen,
    mount_setattr,
    move_mount,
    open_tree,
)
from sampan.kernel.process import join_session_keyring
from sampan.network.attach import Inside, lo_up

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

_ATTRIBUTES = {
    "ro": MountAttr.RDONLY,
    "nosuid": MountAttr.NOSUID,
    "nodev": MountAttr.NODEV,
    "noexec": MountAttr.NOEXEC,
    "noatime": MountAttr.NOATIME,
    "strictatime": MountAttr.STRICTATIME,
    "nodiratime": MountAttr.NODIRATIME,
    "nosymfollow": MountAttr.NOSYMFOLLOW,
}
ON_OUR_OWN = Resolve.NO_XDEV | Resolve.NO_SYMLINKS | Resolve.BENEATH
"""How paths below mounts of our own making are walked: onto nothing else, through no link."""
OURS = ("/proc", "/sys", "/dev")
_LINKS = (
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("core", "/proc/kcore"),
    ("ptmx", "pts/ptmx"),
)
_SLASHES_AND_DOTS = {ord("."): "/", ord("/"): "."}
_PLACES = ("pts", "shm", "mqueue")


class Context:
    """What init has in hand while it carries out a plan. Descriptors only; each is closed at the latest by exec."""

    __slots__ = (
        "arguments",
        "at_start",
        "attached",
        "bare_proc",
        "binds",
        "channel",
        "console",
        "deferred",
        "environment",
        "gate",
        "home",
        "hooked",
        "link",
        "mounts",
        "names",
        "preserved",
        "program",
        "root",
        "stdio",
        "terminal",
    )

    def __init__(self) -> None:
        self.mounts: dict[str, int] = {}
        """detached or attached mounts of our own making, by destination"""
        self.attached: set[str] = set()
        """those that stand on another of them already, and come into sight with it"""
        self.bare_proc = -1
        """/proc without masks and read-only paths, attached nowhere: for kernel parameters (CVE-2025-52881)"""
        self.channel: socket.socket | None = None
        """to who makes the container"""
        self.names: socket.socket | None = None
        """to sampan-net, where who made the container has called it"""
        self.deferred: list[tuple[Callable[..., None], list[str]]] = []
        """steps on detached mounts that this kernel takes only once they are attached"""
        self.link: Inside | None = None
        """the container's link, or its end of a pair"""
        self.root = -1
        self.stdio: list[int] = []
        self.binds: list[int] = []
        self.terminal = -1
        """master of the terminal, to be handed to the monitor"""
        self.console = -1
        self.gate = -1
        """a pipe that is waited at before the program is executed"""
        self.hooked = -1
        """a pipe into which is said how `at_start` went"""
        self.at_start: Callable[[], str] | None = None
        """what is to be done between the gate and the program; why it failed, "" where it did not"""
        self.preserved: list[int] = []
        """descriptors that the program gets beside its three streams, from 3 on"""
        self.environment: list[bytes] = []
        self.home = b"/"
        self.program = b""
        self.arguments: list[bytes] = []


def attributes(options: list[str]) -> MountAttr:
    """The per-mount attributes among mount(8) words."""
    found = MountAttr(0)
    for option in options:
        found |= _ATTRIBUTES.get(option, MountAttr(0))
    return found


def instance(file_system: bytes, options: list[str], source: bytes = b"") -> int:
    """A detached mount of a new instance of `file_system`; words that are no mount attribute are its own parameters.

    `source` is what mountinfo shows; the file system's name unless given.
    """
    context = fsopen(file_system)
    try:
        fsconfig_string(context, b"source", source or file_system)
        for option in options:
            if option in _ATTRIBUTES or option in ("rw", "relatime", "suid", "dev", "exec", "async", "diratime"):
                continue
            key, equals, value = option.partition("=")
            if equals:
                fsconfig_string(context, key.encode(), value.encode())
        fsconfig_create(context)
        return fsmount(context, attributes(options))
    finally:
        os.close(context)


def attach_ahead(context: Context, destination: str) -> None:
    """Put a mount on its parent while both are detached, where the kernel can (Linux 6.15); else `show` does it later."""
    parent = next((ours for ours in OURS if destination.startswith(ours + "/")), "")
    if parent not in context.mounts:
        return
    relative = os.fsencode(destination[len(parent) + 1 :])
    # On a mount that stands on another, the walk must cross from the one to the other, both ours.
    crosses = destination.rpartition("/")[0] in context.attached
    resolve = Resolve.NO_SYMLINKS | Resolve.BENEATH if crosses else ON_OUR_OWN
    place = openat2(context.mounts[parent], relative, os.O_PATH | os.O_DIRECTORY, resolve)
    try:
        move_mount(context.mounts[destination], place)
        context.attached.add(destination)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
    finally:
        os.close(place)


def session_keyring(context: Context, name: str) -> None:
    """A session keyring of the container's own: the engine's keys are not inherited (runc does the same)."""
    join_session_keyring(name.encode())


def proc(context: Context, options: list[str]) -> None:
    """/proc of the new pid namespace."""
    mount = context.mounts["/proc"] = instance(b"proc", options)
    try:
        context.bare_proc = open_tree(mount, b"", OpenTree.CLONE | OpenTree.EMPTY_PATH)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        # Before Linux 6.15; masks then come after everything that writes here (`deferred`).
        context.bare_proc = mount


def sysfs(context: Context, options: list[str]) -> None:
    """/sys of the new network namespace."""
    context.mounts["/sys"] = instance(b"sysfs", options)


def dev(context: Context, options: list[str], devices: list[list[object]]) -> None:
    """/dev: a tmpfs of our own with the allowed nodes and links, so that nothing of the image's is used or touched."""
    mapped = is_mapped()
    context.mounts["/dev"] = make_dev(options, [] if mapped else devices)
    if mapped:
        for device in devices:
            borrow_node(context, str(device[0]))


def make_dev(options: list[str], devices: list[list[object]]) -> int:
    """The same as a detached mount."""
    mount = instance(b"tmpfs", options)
    for place in _PLACES:
        os.mkdir(place, 0o755, dir_fd=mount)
    for device in devices:
        make_node(mount, device)
    for name, target in _LINKS:
        if name != "core" or os.path.exists(target):
            os.symlink(target, name, dir_fd=mount)
    return mount


def borrow_node(context: Context, name: str) -> None:
    """The machine's own node, as the launcher's /dev has it, on an empty file: root of a user namespace may make none."""
    os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=context.mounts["/dev"]))
    context.mounts[f"/dev/{name}"] = open_tree(AT_FDCWD, os.fsencode(f"/dev/{name}"), OpenTree.CLONE)
    try:
        _show_nodes(context, [name])
    except OSError as error:
        # Before Linux 6.15 nothing is mounted on what is detached itself.
        if error.errno != errno.EINVAL:
            raise
        context.deferred.append((_show_nodes, [name]))


def _show_nodes(context: Context, names: list[str]) -> None:
    for name in names:
        place = openat2(context.mounts["/dev"], os.fsencode(name), os.O_PATH, ON_OUR_OWN)
        try:
            move_mount(context.mounts[f"/dev/{name}"], place)
        finally:
            os.close(place)


def make_node(directory: int, device: list[object]) -> None:
    """One node `[path below /dev, kind, major, minor, mode, uid, gid]` below `directory`, parents included."""
    path, kind, major, minor, mode, uid, gid = device
    parts = str(path).split("/")
    walked = os.dup(directory)
    try:
        for part in parts[:-1]:
            if part in ("", ".", ".."):
                raise OSError(22, f"device path {path!r}")
            try:
                os.mkdir(part, 0o755, dir_fd=walked)
            except FileExistsError:
                pass
            below = openat2(walked, os.fsencode(part), os.O_PATH | os.O_DIRECTORY, ON_OUR_OWN)
            os.close(walked)
            walked = below
        name = parts[-1]
        bits = {"c": stat.S_IFCHR, "u": stat.S_IFCHR, "b": stat.S_IFBLK, "p": stat.S_IFIFO}[str(kind)]
        try:
            os.mknod(name, bits | int(str(mode)), os.makedev(int(str(major)), int(str(minor))), dir_fd=walked)
        except FileExistsError:
            # One of the default nodes or links, which stays (runc does the same).
            return
        # mknod's mode is cut by the umask and the owner is root: both are set as asked.
        os.chmod(name, int(str(mode)), dir_fd=walked)
        if uid or gid:
            os.chown(name, int(str(uid)), int(str(gid)), dir_fd=walked, follow_symlinks=False)
    finally:
        os.close(walked)


def devpts(context: Context, options: list[str]) -> None:
    """/dev/pts: terminals of the container's own."""
    context.mounts["/dev/pts"] = instance(b"devpts", options)
    attach_ahead(context, "/dev/pts")


def mqueue(context: Context, options: list[str]) -> None:
    """/dev/mqueue of the new ipc namespace."""
    context.mounts["/dev/mqueue"] = instance(b"mqueue", options)
    attach_ahead(context, "/dev/mqueue")


def shm(context: Context, options: list[str]) -> None:
    """/dev/shm: a tmpfs of the size asked for."""
    context.mounts["/dev/shm"] = instance(b"tmpfs", options, b"shm")
    attach_ahead(context, "/dev/shm")


def cgroup_v1(context: Context, options: list[str], groups: list[list[str]]) -> None:
    """/sys/fs/cgroup on cgroup v1: a tmpfs, and below it the container's own directory of each hierarchy.

    `groups` are `[name, directory]`, the directories as the launcher's namespace shows them.
    """
    # Filled read-write; the attributes are set when it is attached, after the mount points are made.
    mount = instance(b"tmpfs", [option for option in options if option != "ro"] + ["mode=755"])
    context.mounts["/sys/fs/cgroup"] = mount
    attach_ahead(context, "/sys/fs/cgroup")
    for name, directory in groups:
        if "," in name:
            for alias in name.split(","):
                os.symlink(name, alias, dir_fd=mount)
        os.mkdir(name, 0o755, dir_fd=mount)
        copy = open_tree(AT_FDCWD, os.fsencode(directory), OpenTree.CLONE)
        mount_setattr(copy, add=attributes(options))
        context.mounts["/sys/fs/cgroup/" + name] = copy
        if "/sys/fs/cgroup" in context.attached:
            attach_ahead(context, "/sys/fs/cgroup/" + name)


def loopback(context: Context) -> None:
    """The interface lo comes up."""
    lo_up()


def sysctl(context: Context, values: dict[str, str]) -> None:
    """Kernel parameters of the new namespaces, written through our own /proc (CVE-2025-52881), never by a path."""
    for key, value in values.items():
        # "net.ipv4.conf.eth0/1.forwarding" is the interface eth0.1 (sysctl(8)): dots and slashes change places.
        path = b"sys/" + key.translate(_SLASHES_AND_DOTS).encode()
        descriptor = openat2(context.bare_proc, path, os.O_WRONLY, ON_OUR_OWN)
        try:
            os.write(descriptor, value.encode())
        finally:
            os.close(descriptor)


STEPS: dict[str, tuple[str, Callable[..., None]]] = {
    "session_keyring": ("isolation", session_keyring),
    "proc": ("isolation", proc),
    "sysfs": ("isolation", sysfs),
    "dev": ("isolation", dev),
    "devpts": ("isolation", devpts),
    "mqueue": ("isolation", mqueue),
    "shm": ("isolation", shm),
    "cgroup_v1": ("control groups", cgroup_v1),
    "loopback": ("isolation", loopback),
    "sysctl": ("shared kernel", sysctl),
}
"""Name in a plan → principle and function."""
