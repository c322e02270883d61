"""Probes of what layers and mounts need: overlay on the data root, the host's root as a layer, idmapped mounts, FUSE."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from sampan.host.finding import Lacking, Probe
from sampan.host.isolation import map_root, private_mounts
from sampan.kernel.mount import (
    MNT,
    MS,
    MountAttr,
    OpenTree,
    mount,
    mount_setattr,
    move_mount,
    open_tree,
    umount2,
)

_AT_FDCWD = -100
_LEAST_FREE = 1 << 30


def _existing(path: str) -> str:
    """`path`, or the nearest directory above it that is there."""
    while not os.path.isdir(path):
        path = os.path.dirname(path) or "/"
    return path


@contextmanager
def _room(parent: str, *names: str) -> Iterator[str]:
    """An empty directory with these in it; it goes again, with what an overlay leaves in it."""
    place = os.path.join(parent, f".sampan-probe-{os.getpid()}")
    os.mkdir(place, 0o700)
    try:
        for name in names:
            os.mkdir(os.path.join(place, name))
        yield place
    finally:
        for name in ("upper/written", "merged/written"):
            with suppress(OSError):
                os.unlink(os.path.join(place, name))
        for name in ("work/index", "work/work", *names, ""):
            with suppress(OSError):
                os.rmdir(os.path.join(place, name))


def _try_overlay(place: str, lower: str, expected: str) -> None:
    # Relative names: a comma or a colon in the data root would end an option.
    os.chdir(place)
    options = b"lowerdir=" + os.fsencode(lower) + b",upperdir=upper,workdir=work"
    mount(b"overlay", b"merged", b"overlay", MS(0), options)
    try:
        if not os.path.lexists(f"merged/{expected}"):
            raise Lacking(f"{expected} of the lower layer is not seen through the overlay")
        with open("merged/written", "x", encoding="ascii") as file:
            file.write("written")
        if not os.path.exists("upper/written"):
            raise Lacking("what is written does not arrive in the upper layer")
    finally:
        umount2(b"merged", MNT.DETACH)


def _overlay(data_root: str) -> str:
    parent = _existing(data_root)
    private_mounts()
    with _room(parent, "lower", "lower/seen", "upper", "work", "merged") as place:
        _try_overlay(place, "lower", "seen")
        os.rmdir("lower/seen")
    return f"on {parent}"


def _host_as_layer() -> str:
    private_mounts()
    mount(b"tmpfs", b"/tmp", b"tmpfs", MS(0))
    with _room("/tmp", "upper", "work", "merged") as place:
        _try_overlay(place, "/", "proc")
    return ""


@contextmanager
def _somebody() -> Iterator[int]:
    """A descriptor of a user namespace, held by a child of this process meanwhile."""
    ready, begin = os.pipe()
    child_read, done = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            map_root()
            os.write(begin, b"1")
            os.close(done)
            os.read(child_read, 1)
        finally:
            os._exit(0)
    os.close(begin)
    os.close(child_read)
    try:
        if os.read(ready, 1) != b"1":
            raise Lacking("a user namespace to map to cannot be made")
        namespace = os.open(f"/proc/{child}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
        try:
            yield namespace
        finally:
            os.close(namespace)
    finally:
        os.close(ready)
        os.close(done)
        os.waitpid(child, 0)


def _mapped(place: str, namespace: int) -> int:
    tree = open_tree(_AT_FDCWD, os.fsencode(place), OpenTree.CLONE)
    mount_setattr(tree, add=MountAttr.IDMAP, users=namespace)
    return tree


def _idmapped(data_root: str) -> str:
    parent = _existing(data_root)
    with _somebody() as namespace:
        private_mounts()
        os.close(_mapped(parent, namespace))
    return f"on {parent}"


def _idmapped_layers(data_root: str) -> str:
    parent = _existing(data_root)
    with _somebody() as namespace:
        private_mounts()
        with _room(parent, "lower", "upper", "work", "merged", "maps") as place:
            tree = _mapped(place, namespace)
            over = os.open(f"{place}/maps", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            # Overlay takes layers from mounts of its own namespace; before Linux 6.15 only from such.
            move_mount(tree, over)
            os.close(over)
            at = f"/proc/self/fd/{tree}"
            options = f"lowerdir={at}/lower,upperdir={at}/upper,workdir={at}/work"
            try:
                mount(b"overlay", os.fsencode(f"{place}/merged"), b"overlay", MS(0), options.encode())
                umount2(os.fsencode(f"{place}/merged"), MNT.DETACH)
            finally:
                umount2(os.fsencode(f"{place}/maps"), MNT.DETACH)
                os.close(tree)
    return f"on {parent}"


def _fuse() -> str:
    os.close(os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC))
    return ""


def _free(data_root: str) -> str:
    found = os.statvfs(_existing(data_root))
    free, nodes = found.f_bavail * found.f_frsize, found.f_favail
    text = f"{free / (1 << 30):.1f} GiB free"
    if free < _LEAST_FREE:
        raise Lacking(text)
    if found.f_files and nodes < 10_000:
        raise Lacking(f"{nodes} files can still be made")
    return text


def probes(data_root: str) -> tuple[Probe, ...]:
    """The probes of this room; `data_root` need not exist yet."""
    return (
        Probe(
            "overlay",
            "files",
            lambda: _overlay(data_root),
            "layers are merged by fuse-overlayfs where it is installed, else copied with the vfs driver: slow, and large; "
            "a data root on ext4, xfs, btrfs or tmpfs can be an overlay, one on another overlay or on NFS cannot",
        ),
        Probe(
            "host image",
            "files",
            _host_as_layer,
            "the image `host` cannot be used: the machine's root is no lower layer",
        ),
        Probe("idmapped mounts", "files", lambda: _idmapped(data_root), "containers have no users of their own"),
        Probe(
            "idmapped layers",
            "files",
            lambda: _idmapped_layers(data_root),
            "containers have no users of their own with the storage driver overlay2, for which Linux 5.19 is needed: take vfs",
        ),
        Probe(
            "fuse",
            "files",
            _fuse,
            "load the module fuse; fuse-overlayfs needs it, and programs that mount with it",
        ),
        Probe("free disk", "files", lambda: _free(data_root), "prune images, or move the data root (--data-root)"),
    )
