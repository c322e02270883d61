"""What of /proc and /sys a container may not see or not write: masked and read-only paths.

Done on the detached mounts of the world where the kernel takes that (Linux 6.15), so that a parked slot has them already;
else once they are attached (`deferred`). Paths elsewhere, which only a request can name, are walked inside the root.

Loaded by the launcher.
"""

from __future__ import annotations

import errno
import os
import stat

from sampan.kernel.files import Resolve, openat2
from sampan.kernel.mount import MountAttr, OpenTree, mount_setattr, move_mount, open_tree
from sampan.runtime.steps import StepFailed
from sampan.runtime.world import ON_OUR_OWN, Context, attributes, instance

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_INSIDE = Resolve.IN_ROOT | Resolve.NO_MAGICLINKS
_COPY = OpenTree.CLONE | OpenTree.EMPTY_PATH


def _later_if_detached(context: Context, step: Callable[[Context, list[str]], None], paths: list[str]) -> None:
    try:
        step(context, paths)
    except OSError as error:
        # Before Linux 6.15 a detached tree can be neither copied from nor mounted on. With a root it is a real failure.
        if error.errno != errno.EINVAL or context.root >= 0:
            raise
        context.deferred.append((step, paths))


def readonly_paths(context: Context, paths: list[str]) -> None:
    """Parts of /proc that may be read and not written."""
    _later_if_detached(context, _make_readonly, paths)


def masked_paths(context: Context, paths: list[str]) -> None:
    """What must not be seen: /dev/null covers files, one empty read-only tmpfs covers directories (CVE-2025-31133)."""
    _later_if_detached(context, _mask, paths)


def deferred(context: Context) -> None:
    """What this kernel does not do on detached mounts."""
    for step, paths in context.deferred:
        step(context, paths)


def _make_readonly(context: Context, paths: list[str]) -> None:
    for path in paths:
        place = _existing(context, path)
        if place < 0:
            continue
        try:
            copy = open_tree(place, b"", _COPY | OpenTree.RECURSIVE)
            flags = MountAttr.RDONLY
            if path.startswith(("/proc", "/sys")):
                flags |= attributes(["nosuid", "nodev", "noexec"])
            mount_setattr(copy, add=flags, recursive=True)
            move_mount(copy, place)
            os.close(copy)
        finally:
            os.close(place)


def _mask(context: Context, paths: list[str]) -> None:
    covers: dict[bool, int] = {}
    try:
        for path in paths:
            place = _existing(context, path)
            if place < 0:
                continue
            try:
                _cover(context, place, covers)
            finally:
                os.close(place)
    finally:
        for descriptor in covers.values():
            os.close(descriptor)


def _cover(context: Context, place: int, covers: dict[bool, int]) -> None:
    """Put the cover of its kind on one path; `covers` keeps what copies are made of, by whether it is a directory."""
    is_directory = stat.S_ISDIR(os.fstat(place).st_mode)
    if is_directory and is_directory not in covers:
        # The first directory gets the empty one itself: a copy of what stands nowhere is not possible before Linux 6.15, and
        # letting go of a mount that stands nowhere waits for RCU, milliseconds on a busy machine.
        covers[is_directory] = _empty()
        move_mount(covers[is_directory], place)
        return
    if is_directory not in covers:
        covers[is_directory] = _null(context)
    copy = open_tree(covers[is_directory], b"", _COPY)
    try:
        move_mount(copy, place)
    finally:
        os.close(copy)


def _empty() -> int:
    return instance(b"tmpfs", ["ro", "nr_blocks=1", "nr_inodes=1"])


def _null(context: Context) -> int:
    """/dev/null, of the /dev that we made ourselves unless a bind replaces it; checked to be the device 1:3."""
    if "/dev/null" in context.mounts:
        # A node of the machine's that was borrowed: a mount of its own, which a walk of ours does not cross.
        descriptor = os.dup(context.mounts["/dev/null"])
    elif "/dev" in context.mounts:
        descriptor = openat2(context.mounts["/dev"], b"null", os.O_PATH | os.O_NOFOLLOW, ON_OUR_OWN)
    else:
        descriptor = openat2(context.root, b"dev/null", os.O_PATH | os.O_NOFOLLOW, _INSIDE | Resolve.NO_SYMLINKS)
    seen = os.fstat(descriptor)
    if not stat.S_ISCHR(seen.st_mode) or seen.st_rdev != os.makedev(1, 3):
        os.close(descriptor)
        raise StepFailed("other", "/dev/null of the container is not the null device")
    return descriptor


def _existing(context: Context, path: str) -> int:
    """An O_PATH descriptor of `path`, -1 where there is none. Below /proc and /sys only our own mounts are walked."""
    for ours in ("/proc", "/sys"):
        if path.startswith(ours + "/") and ours in context.mounts:
            base, relative, resolve = context.mounts[ours], path[len(ours) + 1 :], ON_OUR_OWN
            break
    else:
        base, relative, resolve = context.root, path, _INSIDE
    try:
        return openat2(base, os.fsencode(relative), os.O_PATH, resolve)
    except (FileNotFoundError, NotADirectoryError):
        return -1


STEPS: dict[str, tuple[str, Callable[..., None]]] = {
    "readonly_paths": ("shared kernel", readonly_paths),
    "masked_paths": ("shared kernel", masked_paths),
    "deferred": ("shared kernel", deferred),
}
"""Name in a plan → principle and function."""
