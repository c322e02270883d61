"""Paths as the archive routes mean them, and what stands there: by descriptors, inside the root.

The client's path counts from the container's root and is cleaned lexically, as Docker does it; an ending `/` or `/.` means
the directory that the path leads to, links followed.
"""

from __future__ import annotations

import errno
import os

from sampan.files.paths import BadPath, shown
from sampan.files.root import link_in_root
from sampan.kernel.files import Resolve, openat2

_INSIDE = Resolve.IN_ROOT | Resolve.NO_MAGICLINKS
_DIRECTORY = os.O_PATH | os.O_DIRECTORY
_MOST_LINKS = 255


class Place:
    """One path. `path` is relative to the root, b"" the root itself; `base` is what Docker calls the last component.

    `directory`: the path ends with `/` or `/.`, or is the root.
    """

    __slots__ = ("base", "directory", "path")

    def __init__(self, text: bytes) -> None:
        if b"\0" in text:
            raise BadPath(f"path {shown(text)} contains a NUL byte")
        parts: list[bytes] = []
        for part in text.split(b"/"):
            if part == b"..":
                parts = parts[:-1]
            elif part not in (b"", b"."):
                parts.append(part)
        self.path = b"/".join(parts)
        last = text.rpartition(b"/")[2]
        self.directory = last in (b"", b".") or not parts
        if last == b"." and text != b"/":
            self.base = b"."
        else:
            self.base = parts[-1] if parts else b"/"


def open_parent(root: int, place: Place) -> tuple[int, bytes]:
    """The directory that the path's last component is in, links on the way followed; and that component. Raises OSError."""
    above, _, name = place.path.rpartition(b"/")
    return openat2(root, above or b".", _DIRECTORY, _INSIDE), name


def open_directory(root: int, path: bytes) -> int:
    """The directory that `path` leads to, all links followed. An O_PATH descriptor. Raises OSError."""
    return openat2(root, path or b".", _DIRECTORY, _INSIDE)


def stat_of(root: int, place: Place) -> os.stat_result:
    """What stands at the path; a link itself, unless the path asks for a directory. Raises OSError."""
    if place.directory:
        descriptor = open_directory(root, place.path)
    else:
        descriptor = openat2(root, place.path, os.O_PATH | os.O_NOFOLLOW, _INSIDE)
    try:
        return os.fstat(descriptor)
    finally:
        os.close(descriptor)


def crosses_mount(root: int, path: bytes) -> bool:
    """Whether the directory at `path` lies on another mount than the root itself. Raises OSError."""
    try:
        os.close(openat2(root, path or b".", _DIRECTORY, _INSIDE | Resolve.NO_XDEV))
    except OSError as error:
        if error.errno == errno.EXDEV:
            return True
        raise
    return False


def link_target(root: int, place: Place) -> bytes:
    """Where the link at the path leads, as an absolute path inside the root; as far as it can be followed.

    For telling only: whoever opens it resolves it anew. Raises OSError (ELOOP).
    """
    pending = place.path.split(b"/")
    walked: list[bytes] = []
    links = 0
    while pending:
        part = pending.pop(0)
        if part in (b"", b"."):
            continue
        if part == b"..":
            walked = walked[:-1]
            continue
        walked.append(part)
        target = _read_link(root, b"/".join(walked))
        if target is None:
            continue
        links += 1
        if links > _MOST_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        walked = [] if target.startswith(b"/") else walked[:-1]
        pending = target.split(b"/") + pending
    return b"/" + b"/".join(walked)


def _read_link(root: int, path: bytes) -> bytes | None:
    try:
        return link_in_root(root, path)
    except OSError:
        return None
