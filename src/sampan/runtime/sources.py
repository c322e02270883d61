"""What a container gets from the host and from clients, as descriptors: bind sources, namespaces, connections.

The daemon's side, in the host's own mount namespace: what was mounted a moment ago is seen, and no later process resolves
the path again.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from sampan.files.root import SafeRoot
from sampan.kernel.mount import AT_FDCWD, MS, MountAttr, OpenTree, mount_setattr, open_tree
from sampan.runtime.detached import part_of_detached
from sampan.runtime.start_failure import StartFailed, StartFault
from sampan.spec import oci_runtime as oci
from sampan.spec.rootfs import ServedRoot

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sampan.runtime.request import AttachSpec

_PROPAGATION = {"private": MS.PRIVATE, "slave": MS.SLAVE, "shared": MS.SHARED, "unbindable": MS.UNBINDABLE}
# Plain integers: combining members of an enum costs a microsecond each, three binds a start.
_ATTRIBUTES = {
    "ro": int(MountAttr.RDONLY),
    "nosuid": int(MountAttr.NOSUID),
    "nodev": int(MountAttr.NODEV),
    "noexec": int(MountAttr.NOEXEC),
    "noatime": int(MountAttr.NOATIME),
}
_WHOLE_TREE = OpenTree.CLONE | OpenTree.RECURSIVE


ImageRoot = Callable[[str], int]
"""A descriptor of an image's root: of a mount that no namespace shows, or of a directory. Raises SampanError, OSError."""
VolumeTree = Callable[[str, str, OpenTree], int]
"""A detached copy of the mount that a volume is, or of what lies below it at a path. Raises SampanError, OSError."""


def _nothing(what: object, *_: object) -> int:
    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(what))


@dataclass(frozen=True, slots=True)
class Roots:
    """Where mounts come from that lie at no path of the host."""

    image: ImageRoot = _nothing
    volume: VolumeTree = _nothing
    served: Callable[[ServedRoot], int] = _nothing
    """a container's root that a program merges, as a detached mount; waits for that program. Raises OSError."""


def open_binds(mounts: Iterable[oci.Mount], roots: Roots) -> list[int]:
    """One detached mount for each bind among `mounts`, in order, attributes and propagation set. The caller closes them.

    Raises StartFailed where a source does not exist.
    """
    opened: list[int] = []
    try:
        # One at a time: what is open when one fails must be closed again.
        for mount in (mount for mount in mounts if mount.type == "bind"):
            opened.append(_open_bind(mount, roots))  # noqa: PERF401
    except BaseException:
        close_all(opened)
        raise
    return opened


def _open_bind(mount: oci.Mount, roots: Roots) -> int:
    recursive = "rbind" in mount.options
    flags = _WHOLE_TREE if recursive else OpenTree.CLONE
    try:
        if mount.image:
            tree = _image_tree(roots.image(mount.image), mount.below)
        elif mount.volume:
            tree = roots.volume(mount.volume, mount.below, flags)
        elif mount.below or _descriptor(mount.source) >= 0:
            tree = _part(mount.source, mount.below or ".", flags)
        else:
            tree = open_tree(AT_FDCWD, os.fsencode(mount.source), flags)
    except OSError as error:
        reason = os.strerror(error.errno or 0).lower()
        source = "/".join(part for part in (mount.source or mount.image or mount.volume, mount.below) if part)
        message = f'error mounting "{source}" to rootfs at "{mount.destination}": {reason}'
        raise StartFailed(StartFault.BAD_MOUNT, message, error.errno or 0) from error
    try:
        _set_attributes(tree, mount.options, recursive)
    except OSError as error:
        os.close(tree)
        reason = os.strerror(error.errno or errno.EINVAL).lower()
        message = f'error setting options of the mount "{mount.source}": {reason}'
        raise StartFailed(StartFault.BAD_MOUNT, message, error.errno or 0) from error
    return tree


def _part(source: str | int, below: str, flags: OpenTree) -> int:
    """A path below a directory that others may change meanwhile: opened once, and what was opened is bound (CVE-2021-30465)."""
    with SafeRoot(source) as root:
        descriptor = root.open(below)
    try:
        return open_tree(descriptor, b"", flags | OpenTree.EMPTY_PATH)
    except OSError as error:
        whole = _descriptor(source)
        # Before Linux 6.15 nothing is cloned from a mount that no namespace shows.
        if error.errno != errno.EINVAL or whole < 0:
            raise
    finally:
        os.close(descriptor)
    return part_of_detached(whole, below, flags)


def _descriptor(source: str | int) -> int:
    """The descriptor of this process that a source names; -1 for a path."""
    if isinstance(source, int):
        return source
    number = source.removeprefix("/proc/self/fd/")
    return int(number) if number != source and number.isdecimal() else -1


def _image_tree(root: int, below: str) -> int:
    """The image's root, or a part of it, for one container. Takes over `root`."""
    try:
        # The view of an image is for the engine to look into; programs may be executed from what a container gets.
        tree = _part(root, below or ".", OpenTree.CLONE)
    finally:
        os.close(root)
    mount_setattr(tree, clear=MountAttr.NOEXEC)
    return tree


def _set_attributes(tree: int, options: tuple[str, ...], recursive: bool) -> None:
    wanted = 0
    for option in options:
        wanted |= _ATTRIBUTES.get(option, 0)
    # Docker's default is rprivate: nothing that either side mounts later shows on the other.
    propagation = MS.PRIVATE
    deep = True
    for option in options:
        plain = option.removeprefix("r")
        if plain in _PROPAGATION and option not in ("ro", "rw", "rbind"):
            propagation, deep = _PROPAGATION[plain], option.startswith("r")
    mount_setattr(tree, propagation=propagation, recursive=deep)
    if "exec" in options:
        mount_setattr(tree, clear=MountAttr.NOEXEC)
    if wanted:
        # "ro" on a recursive bind is the top mount only, "rro" all of them (Docker's default since 25).
        mount_setattr(tree, add=MountAttr(wanted), recursive=recursive and "rro" in options)


def open_namespaces(paths: list[str]) -> list[int]:
    """A descriptor of each namespace file. Raises StartFailed where its container has ended."""
    opened: list[int] = []
    for path in paths:
        try:
            opened.append(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
        except OSError as error:
            close_all(opened)
            raise StartFailed(
                StartFault.OTHER, f"cannot join namespace {path}: {error.strerror}", error.errno or 0
            ) from error
    return opened


def close_all(descriptors: list[int]) -> None:
    """Close each."""
    for descriptor in descriptors:
        os.close(descriptor)


def clients(attach: Sequence[AttachSpec]) -> list[int]:
    """The descriptors of clients' connections, in order."""
    return [spec.sock.fileno() for spec in attach]


def close_clients(attach: Sequence[AttachSpec]) -> None:
    """Close this side's copies of them."""
    for spec in attach:
        spec.sock.close()
