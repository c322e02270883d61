"""The ways in which a driver keeps in mind what a layer takes away, as an unpacker writes it (see `extract.Whiteouts`).

How it is read is in `whiteouts.py`.

overlay          a character device 0:0 for a name, an attribute on a directory
fuse-overlayfs   files called as in a layer's tar, `.wh.NAME` and `.wh..wh..opq`, which any file system takes; what the program
                 itself writes is these or the kernel's, whichever it can
vfs              nothing: what is taken away is not there
"""

from __future__ import annotations

import os
import stat

from sampan.host.mapped import is_mapped

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

OPAQUE_XATTR = "user.overlay.opaque" if is_mapped() else "trusted.overlay.opaque"
"""Root of a user namespace may not write `trusted.`, and mounts with `userxattr` (kernel: overlayfs.rst, "User xattr")."""
WHITEOUT, OPAQUE = b".wh.", b".wh..wh..opq"
"""A layer's own words (OCI image-spec, "Whiteouts")."""
AUFS = b".wh..wh."
_READABLE = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW


class OverlayMarks:
    """overlayfs' own: a character device 0:0 for a name, an attribute on a directory (kernel: overlayfs.rst, "whiteouts")."""

    __slots__ = ("_mark",)
    fresh = True
    private = True

    def __init__(self, mark: Callable[[int], None]) -> None:
        """`mark` sets OPAQUE_XATTR on a directory's descriptor; it needs CAP_SYS_ADMIN, which the jail has not."""
        self._mark = mark

    def made(self, directory: int, name: bytes) -> None:
        """Nothing to remember: the directory holds this layer alone."""

    def hide(self, directory: int, name: bytes) -> None:
        """A whiteout, unless the layer brings the name itself: then only what lies below a directory is hidden."""
        try:
            os.mknod(name, stat.S_IFCHR, os.makedev(0, 0), dir_fd=directory)
        except FileExistsError:
            if stat.S_ISDIR(os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode):
                descriptor = os.open(name, _READABLE, dir_fd=directory)
                try:
                    self._mark(descriptor)
                finally:
                    os.close(descriptor)

    def make_opaque(self, directory: int) -> None:
        """The attribute, by whoever may set it."""
        self._mark(directory)

    def is_whiteout(self, status: os.stat_result) -> bool:
        """A character device 0:0."""
        return is_whiteout(status)


class FileMarks:
    """Files with the names that a layer's tar gives them: for fuse-overlayfs, and file systems that take no other marks."""

    __slots__ = ("_any",)
    fresh = True
    private = True

    def __init__(self) -> None:
        self._any = False

    def made(self, directory: int, name: bytes) -> None:
        """What the layer brings in the place of what it hides shows by itself; of a directory, only what is new in it."""
        if not self._any:
            return
        try:
            os.unlink(WHITEOUT + name, dir_fd=directory)
        except FileNotFoundError:
            return
        self.hide(directory, name)

    def hide(self, directory: int, name: bytes) -> None:
        """A file, unless the layer brings the name itself: then only what lies below a directory is hidden."""
        self._any = True
        try:
            status = os.stat(name, dir_fd=directory, follow_symlinks=False)
        except FileNotFoundError:
            _touch(directory, WHITEOUT + name)
            return
        if stat.S_ISDIR(status.st_mode):
            descriptor = os.open(name, _READABLE, dir_fd=directory)
            try:
                self.make_opaque(descriptor)
            finally:
                os.close(descriptor)

    def make_opaque(self, directory: int) -> None:
        """A file in it."""
        _touch(directory, OPAQUE)

    def is_whiteout(self, status: os.stat_result) -> bool:  # noqa: ARG002 - the protocol's
        """They have names of their own, under which an archive brings nothing else."""
        return False


class AppliedMarks:
    """For a copy of the layers below, in which what is taken away is removed at once (vfs)."""

    __slots__ = ("_made",)
    fresh = False
    private = True

    def __init__(self) -> None:
        # Inodes that the layer brought or described: a whiteout means the layers below, never its own.
        self._made: set[int] = set()

    def made(self, directory: int, name: bytes) -> None:
        """Remember the entry by its inode."""
        self._made.add(os.stat(name, dir_fd=directory, follow_symlinks=False).st_ino)

    def hide(self, directory: int, name: bytes) -> None:
        """Remove the entry, unless the layer itself brought it or something in it: then what it did not bring."""
        try:
            status = os.stat(name, dir_fd=directory, follow_symlinks=False)
        except FileNotFoundError:
            return
        if stat.S_ISDIR(status.st_mode):
            self._strip(directory, name, status.st_ino)
        elif status.st_ino not in self._made:
            os.unlink(name, dir_fd=directory)

    def _strip(self, directory: int, name: bytes, inode: int) -> None:
        """Take out of the directory `name` what the layer did not bring, and the directory itself if nothing is left."""
        descriptor = os.open(name, _READABLE, dir_fd=directory)
        try:
            self.make_opaque(descriptor)
            with os.scandir(descriptor) as entries:
                empty = next(iter(entries), None) is None
        finally:
            os.close(descriptor)
        if empty and inode not in self._made:
            os.rmdir(name, dir_fd=directory)

    def make_opaque(self, directory: int) -> None:
        """Remove what the layer did not bring. Directories that hold something of it stay."""
        with os.scandir(directory) as entries:
            found = [(os.fsencode(entry.name), entry.inode(), entry.is_dir(follow_symlinks=False)) for entry in entries]
        for name, inode, is_directory in found:
            if is_directory:
                self._strip(directory, name, inode)
            elif inode not in self._made:
                os.unlink(name, dir_fd=directory)

    def is_whiteout(self, status: os.stat_result) -> bool:  # noqa: ARG002 - the protocol's
        """There are no marks."""
        return False


def is_whiteout(status: os.stat_result) -> bool:
    """Whether an entry of an overlay layer is a whiteout."""
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == 0


def set_opaque(directory: int) -> None:
    """Set overlay's attribute on the descriptor of a directory."""
    os.setxattr(directory, OPAQUE_XATTR, b"y")


def _touch(directory: int, name: bytes) -> None:
    try:
        os.close(
            os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=directory)
        )
    except FileExistsError:
        return
