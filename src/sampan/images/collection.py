"""What nobody needs goes: blobs and layers that no image, no operation under way, no build and no container holds.

Whoever decides holds the catalog's lock from the look at the ledger and the leases until the last deletion, which moves things
out of sight only; room is given back by the trashes of the content store and of the layers.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Protocol

from sampan.content.store import Content
from sampan.crashpoints import crash_point
from sampan.images.leases import Lease, Leases
from sampan.images.ledger import Ledger
from sampan.snapshots.protocol import Layer, LayerInUse, LayerNotFound, Snapshotter, has_layer
from sampan.spec.ids import ChainId, Digest

if TYPE_CHECKING:
    from sampan.images.catalog import LayerRecord


class Keeper(Protocol):
    """Somebody beside the images who needs layers and blobs: the build cache. Asked under the catalog's lock."""

    def holds(self, name: str) -> bool:
        """Whether it needs the blob or layer."""
        ...

    def count(self, name: str) -> int:
        """How often it does."""
        ...

    def stacks(self) -> "Iterable[Sequence[LayerRecord]]":
        """All that it needs: layers that lie on each other, the lowest first."""
        ...


@dataclass(frozen=True, slots=True)
class Collected:
    """What `Catalog.collect` took away: the layers, topmost first, and all bytes, those of blobs included."""

    layers: list[ChainId]
    freed: int


class Collection:
    """One for each catalog, which lends its ledger and its lock. Any thread may call."""

    def __init__(
        self, content: Content, snapshots: Snapshotter, ledger: Ledger, lock: AbstractContextManager[bool]
    ) -> None:
        """`lock` may be taken again by the thread that holds it."""
        self.content = content
        self.snapshots = snapshots
        self.ledger = ledger
        self.lock = lock
        self._leases = Leases(lock, content.has, partial(has_layer, snapshots))
        self.keepers: list[Keeper] = []
        # Layers that only a container stands on: its image is gone.
        self._left: set[ChainId] = set()
        self._stopped = False

    def stop(self) -> None:
        """Collect nothing any more: the ledger may lack what a record on the disk names. The next daemon reads all records."""
        self._stopped = True

    @contextmanager
    def lease(self) -> Iterator[Lease]:
        """Keeps blobs and layers that are named to it from being collected while they are in use.

        Whoever makes an image holds all of it from before it looks whether a part is there until the record is committed;
        whoever reads an image, from before it looks at the record until the last byte.
        """
        lease = Lease(self._leases)
        try:
            yield lease
        finally:
            # Under one lock: in between nobody would need what only the lease held, and a check would call it an orphan.
            with self.lock:
                self._leases.release(lease.names)
                self.collect(lease.names)

    def _is_needed(self, name: str) -> bool:
        needed = self.ledger.users(name) or self._leases.holds(name)
        return bool(needed) or any(keeper.holds(name) for keeper in self.keepers)

    def collect(self, names: Iterable[str]) -> Collected:
        """Delete those blobs and layers among `names` that no image and no lease needs."""
        with self.lock:
            spare = {name for name in names if not self._is_needed(name)}
            if not spare or self._stopped:
                return Collected([], 0)
            freed = 0
            for name in spare:
                freed += self.content.delete(Digest(name))
            crash_point("image-after-blobs")
            layers = self._remove_layers(spare)
            crash_point("image-after-layers")
            return Collected([layer.chain for layer in layers], freed + sum(layer.size for layer in layers))

    def is_leased(self, name: str) -> bool:
        """Whether an operation under way holds the blob or layer. Asked under the lock."""
        return self._leases.holds(name)

    def left(self) -> frozenset[ChainId]:
        """Layers that only containers stand on: their images are gone. Asked under the lock."""
        return frozenset(self._left)

    def container_gone(self) -> None:
        """A writable layer was removed: what only it stood on goes, too. Costs nothing where there is no such layer."""
        if not self._left:
            return
        with self.lock:
            left, self._left = self._left, set()
            self.collect(left)

    def orphans(self) -> list[str]:
        """Blobs and layers that no image, no lease and no container needs, sorted."""
        with self.lock:
            standing = self.snapshots.standing()
            known = {layer.chain for layer in self.snapshots.layers()} - standing
            stored = {*self.content.list(), *known}
            return sorted(name for name in stored if not self._is_needed(name))

    def sweep(self) -> None:
        """Delete every blob and layer that no image needs. Only while nothing else runs: at the start of the daemon."""
        known = {layer.chain for layer in self.snapshots.layers()}
        self.collect({*self.content.list(), *known})

    def _remove_layers(self, spare: set[str]) -> list[Layer]:
        """Topmost first: a layer goes when nothing stands on it any more."""
        removed: list[Layer] = []
        layers = {layer.chain: layer for layer in self.snapshots.layers() if layer.chain in spare}
        while True:
            below = {layer.parent for layer in layers.values()}
            tops = [layer for layer in layers.values() if layer.chain not in below]
            if not tops:
                return removed
            for layer in tops:
                del layers[layer.chain]
                try:
                    self.snapshots.remove_layer(layer.chain)
                    removed.append(layer)
                except LayerInUse:
                    # A container stands on it, though its image is gone: it goes with the container.
                    self._left.add(layer.chain)
                except LayerNotFound:
                    continue
