"""Directories made in a target's tree, links on the way followed inside its root, also those that lead to nothing yet: WORKDIR.

As BuildKit: `/app -> /data` with no /data makes /data. Every step is one name below an open directory, and follows no link by
itself: a link is read and its path walked from the root on, so that nobody who swaps entries meanwhile leads out of the tree.
"""

import errno
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass

from sampan.build.operations import MakeDirectory
from sampan.build.tree.owners import owner_of
from sampan.errors import InvalidParameter
from sampan.files.paths import MAX_PATH
from sampan.kernel.files import Resolve, openat2

PLAIN = Resolve.BENEATH | Resolve.NO_SYMLINKS
_STEP = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW
_READABLE = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_MOST_LINKS = 255
MODE = 0o755


class NoDirectory(InvalidParameter):
    """Something else stands where a directory is wanted; in the words of Go's mkdir, which clients know."""

    def __init__(self, path: bytes) -> None:
        super().__init__(f"mkdir /{os.fsdecode(path)}: not a directory")


@dataclass(frozen=True, slots=True)
class Making:
    """What new directories are like. `epoch`: their time in nanoseconds, None for now."""

    owner: tuple[int, int] = (0, 0)
    mode: int = MODE
    epoch: int | None = None


def make_directory(operation: MakeDirectory, target: int, *, epoch: int | None = None) -> bool:
    """WORKDIR in the tree below the descriptor `target`; whether something was made.

    What is there already keeps mode and owner. A user that the tree does not know is root, as in BuildKit. Raises NoDirectory,
    InvalidParameter for a user that is none, OSError.
    """
    owner = owner_of(target, operation.user, known=False) or (0, 0)
    made: list[bytes] = []
    make_directories(target, os.fsencode(operation.path), Making(owner, MODE, epoch), made.append)
    return bool(made)


def make_directories(
    root: int, path: bytes, making: Making, made: Callable[[bytes], object] = lambda _path: None
) -> bytes:
    """The directory that `path` leads to inside `root`, made where it is missing: its real path, relative; b"" is the root.

    `made` is told the real path of each new one, parents first. Raises NoDirectory, OSError.
    """
    walk = _Walk(root)
    try:
        walk.pending = path.split(b"/")[::-1]
        while walk.pending:
            _step(walk, walk.pending.pop(), making, made)
        return walk.path
    finally:
        os.close(walk.here)


class _Walk:
    """Where a walk has got to."""

    def __init__(self, root: int) -> None:
        self.root = root
        self.here = os.open(b".", os.O_PATH | os.O_DIRECTORY, dir_fd=root)
        self.real: list[bytes] = []
        self.pending: list[bytes] = []
        self.links = 0

    @property
    def path(self) -> bytes:
        return b"/".join(self.real)

    def go(self, opened: int) -> None:
        os.close(self.here)
        self.here = opened

    def restart(self) -> None:
        """Open what `real` says."""
        self.go(openat2(self.root, self.path or b".", _STEP, PLAIN))


def _step(walk: _Walk, part: bytes, making: Making, made: Callable[[bytes], object]) -> None:
    if part in (b"", b"."):
        return
    if part == b"..":
        walk.real = walk.real[:-1]
        walk.restart()
        return
    try:
        kind = stat.S_IFMT(os.stat(part, dir_fd=walk.here, follow_symlinks=False).st_mode)
    except FileNotFoundError:
        _make(walk, part, making)
        walk.real.append(part)
        made(walk.path)
        return
    if kind == stat.S_IFLNK:
        _follow(walk, os.readlink(part, dir_fd=walk.here))
        return
    if kind != stat.S_IFDIR:
        raise NoDirectory(b"/".join([*walk.real, part]))
    walk.go(os.open(part, _STEP, dir_fd=walk.here))
    walk.real.append(part)


def _follow(walk: _Walk, target: bytes) -> None:
    walk.links += 1
    if walk.links > _MOST_LINKS or len(walk.pending) > MAX_PATH:
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), os.fsdecode(walk.path))
    if target.startswith(b"/"):
        walk.real = []
        walk.restart()
    walk.pending += target.split(b"/")[::-1]


def _make(walk: _Walk, part: bytes, making: Making) -> None:
    os.mkdir(part, 0o700, dir_fd=walk.here)
    descriptor = os.open(part, _READABLE, dir_fd=walk.here)
    try:
        os.fchown(descriptor, *making.owner)
        os.fchmod(descriptor, making.mode)
        if making.epoch is not None:
            os.utime(descriptor, ns=(making.epoch, making.epoch))
            # The directory above has changed by this.
            clamp(walk.here, making.epoch)
    finally:
        os.close(descriptor)
    walk.go(os.open(part, _STEP, dir_fd=walk.here))


def clamp(directory: int, epoch: int) -> None:
    """No time of the directory (a descriptor of any kind) is later than `epoch`, in nanoseconds."""
    status = os.fstat(directory)
    if status.st_mtime_ns > epoch:
        readable = os.open(b".", _READABLE, dir_fd=directory)
        try:
            os.utime(readable, ns=(min(status.st_atime_ns, epoch), epoch))
        finally:
            os.close(readable)
