"""What a removal would take away, without taking it: the catalog as it would be afterwards, for the code that removes.

`Remover` decides on a `Forecast` as it does on the catalog. Nothing is written; what would be deleted is counted. Good for as
long as its maker holds the catalog's lock.
"""

from collections import Counter
from collections.abc import Collection, Iterable

from sampan.errors import NotFound
from sampan.images.catalog import IMAGES, REFERENCES, Catalog, NoSuchImage
from sampan.images.collection import Collected
from sampan.images.ledger import Facts
from sampan.images.references import Reference, parse_reference
from sampan.spec.ids import ChainId, Digest, ImageId
from sampan.state.store import Change, Delete


class Forecast:
    """One question. `standing`: the layers that a container stands on which is to stay."""

    def __init__(self, catalog: Catalog, standing: Collection[ChainId]) -> None:
        self._catalog = catalog
        self._standing = standing
        self._ledger = catalog.ledger.copy()
        self._dropped: Counter[str] = Counter()
        self._gone: set[str] = set()
        self.lock = catalog.lock
        self.is_fixed = catalog.is_fixed
        self.is_reserved = catalog.is_reserved
        self.drop_reference = catalog.drop_reference

    def find(self, text: str) -> ImageId:
        """See `Catalog`, here and below."""
        image = self._catalog.find(text)
        if not self.has(image):
            raise NoSuchImage(image)
        return image

    def has(self, image: ImageId) -> bool:
        """Whether it would still be there."""
        return self._ledger.facts(image) is not None

    def facts(self, image: ImageId) -> Facts:
        """Of an image that would still be there. Raises NoSuchImage."""
        facts = self._ledger.facts(image)
        if facts is None:
            raise NoSuchImage(image)
        return facts

    def references_of(self, image: ImageId) -> list[Reference]:
        """The names that would be left."""
        left = set(self._ledger.names(image))
        known = self._catalog.references_of(image)
        return [name for name in known if name in left or self._catalog.is_reserved(name)]

    def children(self, image: ImageId) -> tuple[ImageId, ...]:
        """The images made from it that would be left."""
        return self._ledger.children(image)

    def commit(self, changes: Iterable[Change]) -> None:
        """Take note of a removal."""
        for change in changes:
            assert isinstance(change, Delete)
            if change.table == IMAGES:
                self._ledger.drop(ImageId(change.key))
            elif change.table == REFERENCES:
                self._ledger.unname(parse_reference(change.key))

    def drop_records(self, needs: Iterable[str]) -> int:
        """A record of the build cache that needs these would go, too; the bytes that gives."""
        names = list(needs)
        self._dropped.update(names)
        return self.collect(names).freed

    def collect(self, names: Iterable[str]) -> Collected:
        """What nobody would need any more of `names`, counted once."""
        spare = {name for name in names if name not in self._gone and not self._is_needed(name)}
        freed = 0
        for name in spare:
            try:
                freed += self._catalog.content.size(Digest(name))
            except NotFound:
                continue  # a layer
        layers = self._topmost_first(spare)
        self._gone |= spare
        return Collected(layers, freed + sum(self._catalog.snapshots.layer(chain).size for chain in layers))

    def _is_needed(self, name: str) -> bool:
        kept = sum(keeper.count(name) for keeper in self._catalog.keepers) - self._dropped[name]
        return bool(self._ledger.users(name)) or kept > 0 or self._catalog.is_leased(name)

    def _topmost_first(self, spare: set[str]) -> list[ChainId]:
        layers = {layer.chain: layer for layer in self._catalog.snapshots.layers() if layer.chain in spare}
        for chain in [chain for chain in layers if chain in self._standing]:
            del layers[chain]
        result: list[ChainId] = []
        while layers:
            below = {layer.parent for layer in layers.values()}
            tops = [chain for chain in layers if chain not in below]
            result += tops
            for chain in tops:
                del layers[chain]
        return result
