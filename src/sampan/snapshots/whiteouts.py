"""Marks of a layer as they are read: by which entry a name, by what a directory hides what the layers below have.

See `marks.py` for how they are written.
"""

import errno
import os
from typing import Protocol

from sampan.snapshots.marks import AUFS, OPAQUE, OPAQUE_XATTR, WHITEOUT, is_whiteout

_OPAQUE_XATTRS = ("trusted.overlay.opaque", "user.overlay.opaque", "user.fuseoverlayfs.opaque")


class Marks(Protocol):
    """What in a layer's directory is a mark, and of what."""

    def hidden(self, name: bytes, status: os.stat_result) -> bytes | None:
        """The name that an entry hides, b"" for a file that marks its directory; None for what is no mark."""
        ...

    def hides(self, directory: int, name: bytes) -> bool:
        """Whether the layer takes `name` away from those below, or has something in its place."""
        ...

    def is_opaque(self, directory: int) -> bool:
        """Whether nothing of the layers below shows in it. A readable descriptor."""
        ...


class KernelMarks:
    """Reads what overlayfs wrote, and `OverlayMarks`. See `Marks`."""

    __slots__ = ()

    def hidden(self, name: bytes, status: os.stat_result) -> bytes | None:
        """A character device 0:0 hides its own name."""
        return name if is_whiteout(status) else None

    def hides(self, directory: int, name: bytes) -> bool:
        """Something of that name is there."""
        return _exists(directory, name)

    def is_opaque(self, directory: int) -> bool:
        """The attribute of this process's kind of overlay."""
        return _attribute(directory, OPAQUE_XATTR) == b"y"


class PortableMarks:
    """Reads what fuse-overlayfs wrote, and `FileMarks`. See `Marks`.

    Through fuse-overlayfs no file can be given a name that begins with `.wh.` (EINVAL), so such a name is always a mark.
    """

    __slots__ = ()

    def hidden(self, name: bytes, status: os.stat_result) -> bytes | None:
        """A device hides its own name, a file the rest of its; the program's device `.wh..opq` hides nothing."""
        if not name.startswith(WHITEOUT):
            return name if is_whiteout(status) else None
        return b"" if name.startswith(AUFS) or is_whiteout(status) else name.removeprefix(WHITEOUT)

    def hides(self, directory: int, name: bytes) -> bool:
        """The mark, or something of that name, is there."""
        return _exists(directory, WHITEOUT + name) or _exists(directory, name)

    def is_opaque(self, directory: int) -> bool:
        """The file, or any of the attributes that the program heeds."""
        return _exists(directory, OPAQUE) or any(_attribute(directory, key) == b"y" for key in _OPAQUE_XATTRS)


KERNEL: Marks = KernelMarks()
PORTABLE: Marks = PortableMarks()


def _exists(directory: int, name: bytes) -> bool:
    try:
        os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _attribute(directory: int, name: str) -> bytes | None:
    try:
        return os.getxattr(directory, name)
    except OSError as error:
        if error.errno in (errno.ENODATA, errno.ENOTSUP):
            return None
        raise
