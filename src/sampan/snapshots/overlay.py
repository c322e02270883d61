"""The overlay driver: each layer holds its own difference, with marks; a container gets an upper and a work directory.

Who makes one tree of them is the kernel, or where it does not fuse-overlayfs (`mounting.Merging`).
"""

import errno
import os
from collections.abc import Callable, Generator, Iterator
from functools import partial
from pathlib import Path
from typing import BinaryIO

from sampan.files.measure import measure
from sampan.kernel.mount import AT_FDCWD, OpenTree, mount_setattr, open_tree
from sampan.snapshots.applying import apply_layer
from sampan.snapshots.changes import find_changes
from sampan.snapshots.difference import overlay_difference
from sampan.snapshots.drafts import OverlayDrafts
from sampan.snapshots.mounting import OVERLAY, READ_ONLY, Merging
from sampan.snapshots.protocol import Change, Drafts, Layer, LayerNotFound, Staging, Usage
from sampan.snapshots.shelf import Shelf, refuse_host
from sampan.snapshots.spares import Spares, make_pair
from sampan.snapshots.staging import OverlayStaging
from sampan.snapshots.verifying import verify
from sampan.spec.ids import ChainId, DiffId
from sampan.spec.rootfs import RootMount

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY


class OverlaySnapshotter:
    """See `protocol.Snapshotter`. The runtime mounts what `prepare` describes; nothing is mounted here."""

    def __init__(self, data_root: Path, merging: Merging = OVERLAY) -> None:
        """Open or make the layers below `data_root`, whose file system must be fit for an upper directory."""
        self._merging = merging
        self.name = merging.name
        self._shelf = Shelf(data_root, merging.directory)
        self.layer = self._shelf.layer
        self.layers = self._shelf.layers
        self.remove_layer = self._shelf.remove_layer
        self.keys = self._shelf.keys
        self.remove = self._shelf.remove_writable
        self.sync = self._shelf.sync
        self.standing = self._shelf.standing
        self.strays = self._shelf.strays
        self.throw_away = self._shelf.trash.take
        self.freeing = self._shelf.trash.freeing
        self.staging: Staging | None = OverlayStaging(self._shelf, merging.written)
        self.drafts: Drafts = OverlayDrafts(self._shelf, merging)
        self._spares = Spares(self._shelf.writables)

    def apply(self, parent: ChainId | None, stream: BinaryIO, expected: DiffId | None = None) -> Layer:
        """See the protocol."""
        return apply_layer(
            self._shelf, parent, stream, expected, self._merging.written, partial(Path.mkdir, mode=0o755)
        )

    def mend(self, parent: ChainId | None, stream: BinaryIO, expected: DiffId) -> Layer:
        """See the protocol."""
        begin = partial(Path.mkdir, mode=0o755)
        return apply_layer(self._shelf, parent, stream, expected, self._merging.written, begin, mend=True)

    def verify(self, chain: ChainId, stream: BinaryIO) -> Generator[int, None, tuple[str, ...]]:
        """See the protocol."""
        self._shelf.layer(chain)
        return verify(self._shelf.directory(chain), stream, self._merging.marks)

    def layer_directories(self, chain: ChainId) -> tuple[str, ...]:
        """See the protocol."""
        return tuple(self._shelf.stack(chain))

    def borrow(
        self, chain: ChainId, directories: Callable[[], tuple[str, ...]], opened: Callable[[], list[int]]
    ) -> None:
        """See the protocol. A program that serves a container has no way to what is not a layer: `prepare` refuses."""
        self._shelf.borrow(chain, directories if self._merging.lends else partial(refuse_host, self.name), opened)

    @property
    def whole(self) -> bool:
        """See the protocol."""
        return False

    @property
    def bounded(self) -> bool:
        """See the protocol."""
        return self._shelf.quotas is not None

    def prepare(self, key: str, parent: ChainId | None, size: int = 0) -> RootMount:
        """See the protocol."""
        directory = self._shelf.writable_directory(key)
        if parent is not None:
            # Before anything is made: an unknown parent leaves nothing behind, and an unfit machine says why.
            next(self._shelf.stack(parent, short=True), None)
        spare = None if size else self._spares.take()
        if size:
            self._shelf.bound_writable(key, size)
        if spare is None or not _renamed(spare, directory):
            make_pair(directory)
        self._shelf.record_writable(key, parent)
        return self.mount_of(key)

    def mount_of(self, key: str) -> RootMount:
        """See the protocol."""
        writable = self._shelf.writable(key)
        directory = self._shelf.writable_directory(key)
        parent = ChainId(writable.parent) if writable.parent else None
        lowers = tuple(self._shelf.stack(parent, short=True))
        return self._merging.root(lowers, str(directory / "upper"), str(directory / "work"))

    def view(self, chain: ChainId) -> int:
        """See the protocol."""
        if self._shelf.stands_on_borrowed(chain):
            raise LayerNotFound(f"layer {chain} stands on what is no layer of this store")
        with self._shelf.opened(chain) as lowers:
            return self._merged(lowers)

    def usage(self, key: str) -> Usage:
        """See the protocol."""
        descriptor = self._open_upper(key)
        try:
            return Usage(*measure(descriptor))
        finally:
            os.close(descriptor)

    def diff(self, key: str) -> Iterator[bytes]:
        """See the protocol."""
        descriptor = self._open_upper(key)
        try:
            yield from overlay_difference(descriptor, marks=self._merging.marks)
        finally:
            os.close(descriptor)

    def changes(self, key: str) -> tuple[Change, ...]:
        """See the protocol."""
        parent = self._shelf.writable(key).parent
        upper = self._open_upper(key)
        try:
            with self._shelf.opened(ChainId(parent) if parent else None) as lowers:
                lower = self._merged(lowers) if lowers else -1
            try:
                return find_changes(lower, upper, self._merging.marks)
            finally:
                if lower >= 0:
                    os.close(lower)
        finally:
            os.close(upper)

    def mounted(self, key: str) -> int:
        """See the protocol."""
        parent = self._shelf.writable(key).parent
        directory = self._shelf.writable_directory(key)
        with self._shelf.opened(ChainId(parent) if parent else None) as lowers:
            return self._merging.union(lowers, str(directory / "upper"), str(directory / "work"))

    def looked_at(self, key: str) -> int:
        """See the protocol. Its own layer is the topmost of those that are only read."""
        parent = self._shelf.writable(key).parent
        upper = self._open_upper(key)
        try:
            with self._shelf.opened(ChainId(parent) if parent else None) as lowers:
                if lowers:
                    return self._merging.union([upper, *lowers], attributes=READ_ONLY)
        finally:
            os.close(upper)
        tree = open_tree(AT_FDCWD, os.fsencode(self._shelf.writable_directory(key) / "upper"), OpenTree.CLONE)
        mount_setattr(tree, add=READ_ONLY)
        return tree

    def close(self) -> None:
        """See the protocol."""
        self._spares.close()
        self._shelf.trash.close()

    def _merged(self, lowers: list[int]) -> int:
        """A descriptor of the union of directories, the topmost first, in a mount that nobody else sees."""
        if len(lowers) == 1:
            return os.open(b".", _DIRECTORY, dir_fd=lowers[0])
        mount = self._merging.union(lowers, attributes=READ_ONLY)
        try:
            # The mount's own descriptor is O_PATH; this one can be read, and keeps the mount.
            return os.open(b".", _DIRECTORY, dir_fd=mount)
        finally:
            os.close(mount)

    def _open_upper(self, key: str) -> int:
        self._shelf.writable(key)
        try:
            return os.open(self._shelf.writable_directory(key) / "upper", _DIRECTORY)
        except FileNotFoundError as error:
            raise LayerNotFound(f"writable layer {key} does not exist") from error


def _renamed(spare: Path, directory: Path) -> bool:
    """Whether the spare is `directory` now; where that exists, it stays, and the spare is removed."""
    try:
        os.rename(spare, directory)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        for path in (spare / "upper", spare / "work", spare):
            path.rmdir()
        return False
    return True
