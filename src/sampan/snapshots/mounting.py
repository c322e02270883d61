"""Overlays that no namespace shows: a stack of layers to be read, or with a writable layer on top."""

import errno
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from sampan.host.mapped import is_mapped
from sampan.kernel.mount import (
    AT_FDCWD,
    MNT,
    MS,
    MountAttr,
    OpenTree,
    fsconfig_create,
    fsconfig_flag,
    fsconfig_string,
    fsmount,
    fsopen,
    mount,
    mount_setattr,
    open_tree,
    umount2,
)
from sampan.kernel.namespaces import Clone, unshare
from sampan.snapshots.whiteouts import KERNEL, Marks
from sampan.spec.rootfs import OverlayRoot
from sampan.threads import Threads

_STRING_LIMIT = 256
"""Bytes that one parameter of fsconfig(2) may have, its NUL included."""
READ_ONLY = MountAttr.RDONLY | MountAttr.NODEV | MountAttr.NOSUID | MountAttr.NOEXEC
_SOMEWHERE = b"/proc"
"""A directory that every machine has, for a mount that stands for a moment in a namespace without other processes."""

Options = list[tuple[bytes, bytes]]


class Union(Protocol):
    """As `overlay`."""

    def __call__(
        self,
        lowers: Sequence[int],
        upper: str = "",
        work: str = "",
        attributes: MountAttr = MountAttr(0),  # noqa: B008
    ) -> int:
        """A detached mount of the union. Raises OSError."""
        ...


@dataclass(frozen=True, slots=True)
class Merging:
    """One way to make one tree of the directories of layers, and what goes with it."""

    name: str
    """what `info` and `inspect` call the driver"""
    directory: str
    """below the data root's `layers`: what is marked in one way is not read in another"""
    written: str
    """the marks that layers are unpacked with, as `jail.unpack` has them"""
    marks: Marks
    """how they are read, and what a container left"""
    union: Union
    root: Callable[[tuple[str, ...], str, str], OverlayRoot]
    """of layers, upper and work directory"""
    lends: bool = True
    """whether a directory that is not the driver's own can be a layer (the image `host`)"""


def overlay(lowers: Sequence[int], upper: str = "", work: str = "", attributes: MountAttr = MountAttr(0)) -> int:  # noqa: B008
    """A detached mount of the union of the directories `lowers`, the topmost first; written to `upper` where that is given.

    One owner for each upper directory: the caller sees to it that nobody else has it mounted. Raises OSError.
    """
    options: Options = []
    if upper:
        options += [(b"upperdir", os.fsencode(upper)), (b"workdir", os.fsencode(work))]
        # As a start mounts it: the upper directory holds whole files under their own names.
        options += [(feature, b"off") for feature in (b"index", b"redirect_dir", b"metacopy")]
    if is_mapped():
        # With user.overlay.* nothing is ever redirected, and saying so is refused.
        options = [option for option in options if option[0] != b"redirect_dir"] + [(b"userxattr", b"")]
    try:
        return _by_context(lowers, options, attributes)
    except OSError as error:
        if error.errno != errno.EINVAL or len(_joined(lowers)) < _STRING_LIMIT:
            raise
        # A mount namespace of its own is a thread's until it ends.
        with Threads(1) as passing:
            return passing.submit(_in_one_string, lowers, options, attributes).result()


def _joined(descriptors: Sequence[int]) -> bytes:
    """Directories by short names, whatever their paths are."""
    return b":".join(b"/proc/self/fd/%d" % descriptor for descriptor in descriptors)


def _by_context(lowers: Sequence[int], options: Options, attributes: MountAttr) -> int:
    context = fsopen(b"overlay")
    try:
        if len(_joined(lowers)) < _STRING_LIMIT:
            fsconfig_string(context, b"lowerdir", _joined(lowers))
        else:
            # Since Linux 6.7. From 6.5 on an unknown word is refused, before that the mount: EINVAL both.
            for lower in lowers:
                fsconfig_string(context, b"lowerdir+", _joined([lower]))
        for name, value in options:
            if value:
                fsconfig_string(context, name, value)
            else:
                fsconfig_flag(context, name)
        fsconfig_create(context)
        return fsmount(context, attributes)
    finally:
        os.close(context)


def _in_one_string(lowers: Sequence[int], options: Options, attributes: MountAttr) -> int:
    """The same by mount(2), which takes a page of options, in a new mount namespace of the calling thread."""
    unshare(Clone.NEWNS)
    mount(None, b"/", None, MS.REC | MS.PRIVATE)
    # Overlay takes layers only from mounts of the namespace that it is mounted in.
    with _opened_again(lowers) as here:
        words = [(b"lowerdir", _joined(here)), *options]
        mount(
            b"overlay",
            _SOMEWHERE,
            b"overlay",
            MS(0),
            b",".join(name + b"=" + _escaped(value) if value else name for name, value in words),
        )
    try:
        tree = open_tree(AT_FDCWD, _SOMEWHERE, OpenTree.CLONE)
    finally:
        umount2(_SOMEWHERE, MNT.DETACH)
    mount_setattr(tree, add=attributes)
    return tree


@contextmanager
def _opened_again(descriptors: Sequence[int]) -> Iterator[list[int]]:
    opened: list[int] = []
    try:
        for descriptor in descriptors:
            again = os.open(os.readlink(f"/proc/self/fd/{descriptor}"), os.O_RDONLY | os.O_DIRECTORY)
            opened.append(again)
            if not os.path.samestat(os.fstat(descriptor), os.fstat(again)):
                raise OSError(errno.ESTALE, "a layer is not where it was opened")
        yield opened
    finally:
        for descriptor in opened:
            os.close(descriptor)


def _escaped(value: bytes) -> bytes:
    """A value among mount options, where a comma would end it."""
    return value.replace(b"\\", b"\\\\").replace(b",", b"\\,")


OVERLAY = Merging("overlay2", "overlay", "overlay", KERNEL, overlay, OverlayRoot)
"""By the kernel."""
