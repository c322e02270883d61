"""The drivers of whole trees: every layer is the whole root, every container a copy of it. Which kind of copy is theirs (`Trees`).

vfs copies, slow and large, on any file system: a layer shares the files it does not replace with its parent by hard links, and a
container's root shares nothing. btrfs takes snapshots (`subvolumes`). Drivers of somebody else's have a way of their own.
"""

import os
from collections.abc import Callable, Generator, Iterator
from functools import partial
from pathlib import Path
from typing import BinaryIO

from sampan.files.atomic import make_directory
from sampan.kernel.mount import AT_FDCWD, OpenTree, mount_setattr, open_tree
from sampan.snapshots.applying import apply_layer
from sampan.snapshots.changes import find_changes
from sampan.snapshots.cloning import Trees
from sampan.snapshots.comparison import tree_difference, tree_usage
from sampan.snapshots.drafts import VfsDrafts
from sampan.snapshots.mounting import READ_ONLY
from sampan.snapshots.protocol import Change, Drafts, Layer, LayerNotFound, Staging, Usage
from sampan.snapshots.shelf import Shelf, refuse_host
from sampan.snapshots.verifying import verify
from sampan.spec.ids import ChainId, DiffId
from sampan.spec.rootfs import PlainRoot, RootMount

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY
COPIES = Trees()


class VfsSnapshotter:
    """See `protocol.Snapshotter`."""

    def __init__(self, data_root: Path, name: str = "vfs", trees: Trees = COPIES) -> None:
        """Open or make the layers of the driver `name` below `data_root`."""
        self.name = name
        self._trees = trees
        self._shelf = Shelf(data_root, name)
        self.staging: Staging | None = None
        self.drafts: Drafts = VfsDrafts(self._shelf, trees)
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

    def apply(self, parent: ChainId | None, stream: BinaryIO, expected: DiffId | None = None) -> Layer:
        """See the protocol."""
        return apply_layer(self._shelf, parent, stream, expected, "applied", partial(self._begin, parent))

    def mend(self, parent: ChainId | None, stream: BinaryIO, expected: DiffId) -> Layer:
        """See the protocol. Layers above share its damaged files: they are to be mended after it."""
        return apply_layer(self._shelf, parent, stream, expected, "applied", partial(self._begin, parent), mend=True)

    def _begin(self, parent: ChainId | None, diff: Path) -> None:
        if parent is None:
            self._trees.fresh(diff)
        else:
            self._trees.layer(self._shelf.directory(parent), diff)

    def verify(self, chain: ChainId, stream: BinaryIO) -> Generator[int, None, tuple[str, ...]]:
        """See the protocol. What is too much cannot be told from what is of the layers below."""
        self._shelf.layer(chain)
        return verify(self._shelf.directory(chain), stream, None)

    def layer_directories(self, chain: ChainId) -> tuple[str, ...]:
        """See the protocol. One directory: it holds all that is below, too."""
        self._shelf.layer(chain)
        return (str(self._shelf.directory(chain)),)

    def borrow(
        self, chain: ChainId, directories: Callable[[], tuple[str, ...]], opened: Callable[[], list[int]]
    ) -> None:
        """See the protocol. A container would need a copy of all of it: `prepare` refuses."""
        del directories
        self._shelf.borrow(chain, partial(refuse_host, self.name), opened)

    @property
    def whole(self) -> bool:
        """See the protocol."""
        return True

    @property
    def bounded(self) -> bool:
        """See the protocol. The bound counts the copy of the image, too."""
        return self._shelf.quotas is not None

    def prepare(self, key: str, parent: ChainId | None, size: int = 0) -> RootMount:
        """See the protocol."""
        if parent is not None:
            next(self._shelf.stack(parent), None)
        directory = make_directory(self._shelf.writable_directory(key), 0o710)
        root = directory / "root"
        if size:
            self._shelf.bound_writable(key, size)
        if not root.exists():
            # Copied beside and renamed: a root that has its name is whole.
            made = directory / f"new-{os.urandom(6).hex()}"
            if parent is not None:
                self._trees.clone(self._shelf.directory(parent), made)
            else:
                self._trees.fresh(made)
            made.chmod(0o755)
            made.rename(root)
        self._shelf.record_writable(key, parent)
        return self.mount_of(key)

    def mount_of(self, key: str) -> RootMount:
        """See the protocol."""
        self._shelf.writable(key)
        return PlainRoot(str(self._shelf.writable_directory(key) / "root"))

    def view(self, chain: ChainId) -> int:
        """See the protocol."""
        self._shelf.layer(chain)
        return os.open(self._shelf.directory(chain), _DIRECTORY)

    def usage(self, key: str) -> Usage:
        """See the protocol. What is as in the layer below does not count."""
        lower, upper = self._pair(key)
        try:
            return tree_usage(lower, upper, exact=self._trees.keeps_inodes)
        finally:
            os.close(upper)
            if lower >= 0:
                os.close(lower)

    def diff(self, key: str) -> Iterator[bytes]:
        """See the protocol. Found by comparing the copy with the layer below."""
        lower, upper = self._pair(key)
        try:
            yield from tree_difference(lower, upper, exact=self._trees.keeps_inodes)
        finally:
            os.close(upper)
            if lower >= 0:
                os.close(lower)

    def changes(self, key: str) -> tuple[Change, ...]:
        """See the protocol."""
        lower, upper = self._pair(key)
        try:
            return find_changes(lower, upper, None, exact=self._trees.keeps_inodes)
        finally:
            os.close(upper)
            if lower >= 0:
                os.close(lower)

    def mounted(self, key: str) -> int:
        """See the protocol. The directory itself."""
        self._shelf.writable(key)
        return open_tree(AT_FDCWD, os.fsencode(self._shelf.writable_directory(key) / "root"), OpenTree.CLONE)

    def looked_at(self, key: str) -> int:
        """See the protocol."""
        tree = self.mounted(key)
        mount_setattr(tree, add=READ_ONLY)
        return tree

    def close(self) -> None:
        """See the protocol."""
        self._shelf.trash.close()

    def _pair(self, key: str) -> tuple[int, int]:
        """The layer below (-1 for none) and the writable root."""
        writable = self._shelf.writable(key)
        try:
            upper = os.open(self._shelf.writable_directory(key) / "root", _DIRECTORY)
        except FileNotFoundError as error:
            raise LayerNotFound(f"writable layer {key} does not exist") from error
        if writable.parent is None:
            return -1, upper
        return os.open(self._shelf.directory(ChainId(writable.parent)), _DIRECTORY), upper
