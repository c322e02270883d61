"""The container's root: image layers and a writable directory on top as one overlay, or a directory as it is.

Loaded by the launcher.
"""

from __future__ import annotations

import errno
import os

from sampan.host.mapped import is_mapped
from sampan.kernel.mount import (
    AT_FDCWD,
    MNT,
    MS,
    OpenTree,
    fsconfig_create,
    fsconfig_flag,
    fsconfig_string,
    fsmount,
    fsopen,
    mount,
    move_mount,
    open_tree,
    umount2,
)
from sampan.kernel.namespaces import Clone, unshare
from sampan.runtime.rootfs import NEW_ROOT
from sampan.runtime.steps import StepFailed
from sampan.runtime.users import acting_as, map_mount

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_FEATURES_OFF = (b"index", b"redirect_dir", b"metacopy")
"""Layers are compared and committed by reading the upper directory, which must hold whole files under their own names."""
_DATA_LIMIT = 4095
"""Bytes of mount(2)'s last argument: a page and its NUL."""

Users = tuple[int, list[int]]
"""A descriptor of a user namespace, and the host's ids of its root."""

_layer_by_layer = True
_user_attributes = False
"""whether marks are `user.overlay.*`: root of a user namespace has no others"""


def learn_overlay() -> None:
    """Find out, once and before anything is forked, whether this kernel takes overlay's layers one at a time (Linux 6.7),
    and where overlay's marks are kept.

    Until Linux 6.4 an overlay context takes any word at all and refuses the mount in the end, so a word that does not exist
    is tried first.
    """
    global _layer_by_layer, _user_attributes
    _user_attributes = is_mapped()
    context = fsopen(b"overlay")
    try:
        fsconfig_string(context, b"sampan", b"1")
        _layer_by_layer = False
    except OSError:
        try:
            fsconfig_string(context, b"lowerdir+", b"/")
        except OSError:
            _layer_by_layer = False
    finally:
        os.close(context)


def overlay(root: dict[str, Any], users: Users | None = None) -> int:
    """The container's root as a detached mount. Only for a process that ends with the start: see `_in_one_string`.

    `users` is the user namespace whose maps it is to have. Then the layers get them (Linux 5.19), for overlay itself takes
    none: on the disk all files stay those of the users that the image names, whatever the maps are.
    """
    if root["plain"]:
        plain = open_tree(AT_FDCWD, os.fsencode(root["plain"]), OpenTree.CLONE)
        if users is not None:
            map_mount(plain, users[0])
        return plain
    lowers = [os.fsencode(lower) for lower in root["lowers"]]
    upper, work = os.fsencode(root["upper"]), os.fsencode(root["work"])
    build = _one_by_one if _layer_by_layer else _in_one_string
    if users is not None or not _layer_by_layer:
        # Of this process alone. Overlay takes layers only from mounts of the namespace that it is mounted in.
        unshare(Clone.NEWNS)
    if users is None:
        return build(lowers, upper, work, bool(root["volatile"]))
    # Both on one mount: overlay asks for that.
    place, name = os.path.split(upper)
    assert place == os.path.dirname(work), (upper, work)
    # Attached where nobody looks, for as long as this process lives: before Linux 6.15 overlay takes no detached layers.
    trees: list[int] = []
    try:
        lowers = [_with_maps(lower, users[0], trees) for lower in lowers]
        writable = _with_maps(place, users[0], trees)
        upper, work = writable + b"/" + name, writable + b"/" + os.path.basename(work)
        # Who mounts it makes its whiteouts and copies, and must be somebody whom the maps have.
        return acting_as(users[1], lambda: build(lowers, upper, work, bool(root["volatile"])))
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        text = (
            f"overlay does not take the container's layers with users of their own ({error.strerror}): it does from Linux 5.19 on, "
            "before that the storage driver vfs can, or the container has the host's users (--userns host)"
        )
        raise StepFailed("bad-mount", text, errno.EINVAL) from error
    finally:
        for tree in trees:
            os.close(tree)


def _with_maps(directory: bytes, users: int, trees: list[int]) -> bytes:
    """A short path at which `directory` is found with the maps of a user namespace, while its descriptor in `trees` is open."""
    tree = open_tree(AT_FDCWD, directory, OpenTree.CLONE)
    trees.append(tree)
    map_mount(tree, users)
    over = os.open(NEW_ROOT, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        move_mount(tree, over)
    finally:
        os.close(over)
    return b"/proc/self/fd/%d" % tree


def _off() -> tuple[bytes, ...]:
    """With user.overlay.* nothing is ever redirected, and saying so is refused."""
    return tuple(feature for feature in _FEATURES_OFF if not (_user_attributes and feature == b"redirect_dir"))


def _one_by_one(lowers: list[bytes], upper: bytes, work: bytes, volatile: bool) -> int:
    context = fsopen(b"overlay")
    try:
        fsconfig_string(context, b"source", b"overlay")
        for lower in lowers:
            fsconfig_string(context, b"lowerdir+", lower)
        fsconfig_string(context, b"upperdir", upper)
        fsconfig_string(context, b"workdir", work)
        for feature in _off():
            fsconfig_string(context, feature, b"off")
        if _user_attributes:
            fsconfig_flag(context, b"userxattr")
        if volatile:
            fsconfig_flag(context, b"volatile")
        fsconfig_create(context)
        return fsmount(context)
    finally:
        os.close(context)


def _in_one_string(lowers: list[bytes], upper: bytes, work: bytes, volatile: bool) -> int:
    """Before Linux 6.7, mount(2): a parameter of fsconfig(2) ends at 255 bytes there, which is some fifteen layers.

    The layers are named by descriptors, short whatever their paths are. The mount stands for a moment in a mount namespace
    of this process alone, which keeps that namespace until it ends.
    """
    opened: list[int] = []
    try:
        for lower in lowers:
            opened.append(os.open(lower, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC))  # noqa: PERF401 - what is open gets closed
        names = b":".join(b"/proc/self/fd/%d" % descriptor for descriptor in opened)
        words = [b"lowerdir=" + names, b"upperdir=" + _escaped(upper), b"workdir=" + _escaped(work)]
        words += [feature + b"=off" for feature in _off()] + ([b"userxattr"] if _user_attributes else [])
        data = b",".join([*words, b"volatile"] if volatile else words)
        if len(data) > _DATA_LIMIT:
            raise StepFailed("other", f"an image of {len(lowers)} layers needs Linux 6.7 or later on this machine")
        mount(b"overlay", NEW_ROOT, b"overlay", MS(0), data)
        try:
            return open_tree(AT_FDCWD, NEW_ROOT, OpenTree.CLONE)
        finally:
            umount2(NEW_ROOT, MNT.DETACH)
    finally:
        for descriptor in opened:
            os.close(descriptor)


def _escaped(path: bytes) -> bytes:
    """A path among overlay's options, where a comma would end it."""
    return path.replace(b"\\", b"\\\\").replace(b",", b"\\,")
