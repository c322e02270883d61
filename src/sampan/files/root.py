"""Paths inside a root directory that somebody else filled: opened by openat2(2), changed by parent descriptor and one name.

The kernel resolves `..` and absolute links as if the root were `/` (RESOLVE_IN_ROOT), so nothing can lead out of it, and
refuses magic links of /proc. No path is resolved twice: what was opened is a descriptor, and stays what it was.
"""

from __future__ import annotations

import os
import stat

from sampan.files.paths import BadPath, check_component, clean, shown, split
from sampan.kernel.files import Resolve, openat2

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

_IN_ROOT = Resolve.IN_ROOT | Resolve.NO_MAGICLINKS
_DIRECTORY = os.O_PATH | os.O_DIRECTORY


class SafeRoot:
    """A directory as the root of every path that is given. Paths are bytes or text (surrogateescape), absolute or relative."""

    __slots__ = ("fd",)

    def __init__(self, directory: str | bytes | int) -> None:
        """`directory` is a trusted path, or a descriptor that is duplicated. Raises OSError."""
        if isinstance(directory, int):
            self.fd = os.open(b".", _DIRECTORY, dir_fd=directory)
        else:
            self.fd = os.open(directory, _DIRECTORY)

    def __enter__(self) -> SafeRoot:  # noqa: PYI034 - Self is of typing, which the jailed extractor does not load
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the root. What was opened below it stays open."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def open(self, path: str | bytes, flags: int = os.O_PATH, mode: int = 0) -> int:
        """A descriptor of what `path` names; links are followed inside the root. Raises OSError, BadPath for NUL and length.

        Without O_NOFOLLOW a last component that is a link is followed, too. `..` at the root stays at the root.
        """
        raw = os.fsencode(path)
        if b"\0" in raw:
            raise BadPath(f"path {shown(raw)} contains a NUL byte")
        return openat2(self.fd, raw or b".", flags, _IN_ROOT, mode)

    def open_parent(self, path: str | bytes) -> tuple[int, bytes]:
        """The directory that holds the last component of `path`, opened, and that component: for a mutation by the caller.

        Raises BadPath for the root itself and for `..` that leaves it, OSError where the parent does not exist.
        """
        parent, name = split(clean(os.fsencode(path)))
        return openat2(self.fd, parent or b".", _DIRECTORY, _IN_ROOT), check_component(name)

    def make_directories(self, path: str | bytes, mode: int = 0o755) -> int:
        """Open the directory `path`, making what is missing of it with `mode` whatever the umask is. An O_PATH descriptor.

        Existing directories keep mode and owner. Raises NotADirectoryError, and FileExistsError for a dangling link.
        """
        cleaned = clean(os.fsencode(path))
        try:
            return openat2(self.fd, cleaned or b".", _DIRECTORY, _IN_ROOT)
        except FileNotFoundError:
            parent_path, name = split(cleaned)
        parent = self.make_directories(parent_path, mode)
        try:
            os.mkdir(name, 0o700, dir_fd=parent)
            return _opened_with_mode(parent, name, mode)
        finally:
            os.close(parent)


def link_in_root(root: int, path: bytes) -> bytes | None:
    """Where the link at `path` leads, links on the way followed inside the directory `root`; None where there is no link.

    Raises OSError, not where nothing is there.
    """
    try:
        descriptor = openat2(root, path, os.O_PATH | os.O_NOFOLLOW, _IN_ROOT)
    except FileNotFoundError:
        return None
    try:
        if not stat.S_ISLNK(os.fstat(descriptor).st_mode):
            return None
        # readlinkat(2): an empty path reads the link that the descriptor is.
        return os.readlink(b"", dir_fd=descriptor)
    finally:
        os.close(descriptor)


def _opened_with_mode(parent: int, name: bytes, mode: int) -> int:
    descriptor = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)
    try:
        os.fchmod(descriptor, mode)
        return os.open(b".", _DIRECTORY, dir_fd=descriptor)
    finally:
        os.close(descriptor)
