"""The process that becomes fuse-overlayfs: a mount of its own, then a root, a pid namespace and few rights, then the program.

    2       what it says, bounded
    3       control: SOCK_SEQPACKET; up: the mount and a pidfd of who serves it, once
    4 …     the layers, the topmost first; then, for a mount that can be written to, the directory of upper and work

What it serves is written by containers, and what it parses are their requests. Whoever took it over would find the machine's
programs and libraries, read-only, the layers of this one container, read-only, its writable layer, a /proc of one process; no
network, none of the rights with which files of elsewhere are reached, mounts made or other processes touched.
Started by `serving.py`.
"""

from __future__ import annotations

import _socket
import os
import resource
import struct
import sys

from sampan.kernel.caps import Cap, capset, clear_ambient, drop_bounding, last_cap
from sampan.kernel.mount import (
    AT_FDCWD,
    MountAttr,
    OpenTree,
    fsconfig_create,
    fsconfig_flag,
    fsconfig_string,
    fsmount,
    fsopen,
    mount_setattr,
    move_mount,
    open_tree,
)
from sampan.kernel.namespaces import Clone, unshare
from sampan.kernel.process import Prctl, execve, prctl
from sampan.kernel.seccomp import install_filter
from sampan.snapshots.confinement import become_root, isolate
from sampan.snapshots.jail_filter import serving_program

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

_CONTROL, _FIRST = 3, 4
_SYSTEM = ("usr", "lib", "lib32", "lib64", "bin", "sbin", "nix", "gnu", "etc/ld.so.cache")
"""Where programs and libraries lie. What is missing, and what is a link, stays so."""
_CAPS = (Cap.CHOWN, Cap.DAC_OVERRIDE, Cap.DAC_READ_SEARCH, Cap.FOWNER, Cap.FSETID, Cap.MKNOD, Cap.SETFCAP)
"""Not SYS_ADMIN, though the program would keep `trusted.overlay.opaque` with it: a file says the same."""
_MEMORY = 4 << 30
_LOCKED = MountAttr.RDONLY | MountAttr.NOSUID | MountAttr.NODEV


def main() -> NoReturn:
    """Mount, confine, execute. Arguments: the program, the number of layers, the names of upper and work or two empty words."""
    program, lowers, upper, work = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
    device = os.open("/dev/fuse", os.O_RDWR)
    mount = _mounted(device)
    # Before unshare: these are mounts of the old namespace, and cannot be cloned from the new.
    trees = _system()
    trees += [(f"layers/{number}", _copy(_FIRST + number, _LOCKED | MountAttr.NOEXEC)) for number in range(lowers)]
    if upper:
        trees.append(("top", _copy(_FIRST + lowers, MountAttr.NOSUID | MountAttr.NODEV | MountAttr.NOEXEC)))
    highest, refusals = last_cap(), serving_program()
    isolate()
    unshare(Clone.NEWPID)
    child = os.fork()
    if child:
        _hand_over(mount, os.pidfd_open(child))
        os._exit(0)
    os.close(mount)
    os.close(_CONTROL)
    _build_root(trees)
    os.closerange(_FIRST, device)
    _give_up(highest, refusals)
    options = "lowerdir=" + ":".join(f"/layers/{number}" for number in range(lowers))
    if upper:
        options += f",upperdir=/top/{upper},workdir=/top/{work}"
    # Without writeback: what a container wrote is in its layer when its write returns, as with the kernel's overlay.
    words = [program, "-f", "-o", f"{options},writeback=0", f"/dev/fd/{device}"]
    os.set_inheritable(device, True)
    execve(os.fsencode(program), [os.fsencode(word) for word in words], [])
    raise AssertionError("execve returned")


def _mounted(device: int) -> int:
    """A detached mount that is served over `device` (kernel: fuse.rst, "Mount options")."""
    context = fsopen(b"fuse")
    try:
        for name, value in ((b"fd", b"%d" % device), (b"rootmode", b"40000"), (b"user_id", b"0"), (b"group_id", b"0")):
            fsconfig_string(context, name, value)
        for name, value in ((b"source", b"fuse-overlayfs"), (b"subtype", b"fuse-overlayfs")):
            fsconfig_string(context, name, value)
        for flag in (b"allow_other", b"default_permissions"):
            fsconfig_flag(context, flag)
        fsconfig_create(context)
        return fsmount(context)
    finally:
        os.close(context)


def _system() -> list[tuple[str, int]]:
    found = []
    for name in _SYSTEM:
        if not os.path.islink("/" + name):
            try:
                tree = open_tree(AT_FDCWD, os.fsencode("/" + name), OpenTree.CLONE | OpenTree.RECURSIVE)
            except FileNotFoundError:
                continue
            mount_setattr(tree, add=_LOCKED, recursive=True)
            found.append((name, tree))
    return found


def _copy(directory: int, attributes: MountAttr) -> int:
    tree = open_tree(directory, b"", OpenTree.CLONE | OpenTree.EMPTY_PATH)
    mount_setattr(tree, add=attributes)
    return tree


def _hand_over(mount: int, pidfd: int) -> None:
    control = _socket.socket(fileno=_CONTROL)
    control.sendmsg([b"+"], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, struct.pack("=2i", mount, pidfd))])


def _build_root(trees: list[tuple[str, int]]) -> None:
    """A tmpfs with the trees, a /proc of this process's pid namespace and the links of the machine's root, for ever read-only."""
    # While the machine's /proc is still seen, without which a user namespace gets none (mount_too_revealing() in fs/namespace.c).
    proc = _fresh(b"proc", MountAttr.NOSUID | MountAttr.NODEV | MountAttr.NOEXEC)
    links = [(name, os.readlink("/" + name)) for name in _SYSTEM if os.path.islink("/" + name)]
    root = _fresh(b"tmpfs", MountAttr.NOSUID | MountAttr.NODEV)
    become_root(root)
    for name, target in links:
        os.symlink(target, name)
    for name, tree in [*trees, ("proc", proc)]:
        if name == "etc/ld.so.cache":
            os.mkdir("etc")
            os.close(os.open(name, os.O_WRONLY | os.O_CREAT, 0o644))
        else:
            os.makedirs(name)
        place = os.open(name, os.O_PATH)
        move_mount(tree, place)
        os.close(place)
        os.close(tree)
    mount_setattr(root, add=MountAttr.RDONLY)
    os.close(root)


def _fresh(file_system: bytes, attributes: MountAttr) -> int:
    context = fsopen(file_system)
    try:
        fsconfig_create(context)
        return fsmount(context, attributes)
    finally:
        os.close(context)


def _give_up(highest: int, refusals: bytes) -> None:
    """Limits, capabilities, the filter. What root has after execve(2) is what the bounding set leaves it (capabilities(7))."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    for kind, value in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_AS, _MEMORY),
        (resource.RLIMIT_NOFILE, most),
    ):
        resource.setrlimit(kind, (value, value))
    mask = sum(1 << cap for cap in _CAPS)
    prctl(Prctl.SET_NO_NEW_PRIVS, 1)
    clear_ambient()
    drop_bounding(mask, highest)
    capset(mask, mask, 0)
    install_filter(refusals)
