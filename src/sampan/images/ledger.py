"""Who needs what, counted: rebuilt from the records when the daemon starts, then kept in step with every commit.

record of an image ──▶ Facts (chains, needs, size, …) ──▶ users[blob or layer]   how many images need it
names of an image  ──▶ names                              children[image]        what was made from it

Nothing here walks a file system or reads a blob twice, so that lists, sizes and plans for removal are look-ups.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sampan.errors import InvalidParameter
from sampan.images import host
from sampan.images.references import Reference
from sampan.images.times import epoch_of
from sampan.snapshots.protocol import chain_id
from sampan.spec.ids import ChainId, DiffId, ImageId
from sampan.spec.oci_image import Image


@dataclass(frozen=True, slots=True)
class Facts:
    """One image. `needs`: its blobs and layers. `created`: nanoseconds since the epoch, None where it does not say.

    `size`: bytes of its layers. `broken` says why its configuration cannot be read, "" where it can.
    """

    chains: tuple[ChainId, ...]
    needs: frozenset[str]
    parent: str
    created: int | None
    labels: Mapping[str, str]
    size: int
    broken: str = ""


def facts_of(
    image: ImageId,
    parent: str,
    blobs: Iterable[str],
    config: Image,
    size_of: Callable[[ChainId], int],
) -> Facts:
    """The facts of an image whose configuration was read. `blobs`: what it needs of the content store beside that."""
    chains = stacked((config.rootfs.diff_ids if config.rootfs else None) or ())
    needs = frozenset({image, *chains, *blobs})
    labels = (config.config.labels if config.config else None) or {}
    return Facts(chains, needs, parent, _created(config), labels, sum(size_of(chain) for chain in chains))


def facts_of_broken(
    image: ImageId,
    parent: str,
    blobs: Iterable[str],
    diff_ids: Sequence[str],
    size_of: Callable[[ChainId], int],
    reason: str,
) -> Facts:
    """The facts of an image of which only the record is left; `diff_ids` are those that the record tells."""
    # What it stood on is not known for certain: nothing, or this machine's own root. It needs what either would need.
    chains = stacked(diff_ids)
    needs = frozenset({image, *chains, *stacked([host.DIFF_ID, *diff_ids]), *blobs})
    return Facts(chains, needs, parent, 0, {}, sum(size_of(chain) for chain in chains), reason)


class Ledger:
    """The counts. Whoever writes holds the catalog's lock; readers see each change whole or not yet."""

    def __init__(self) -> None:
        self._facts: dict[ImageId, Facts] = {}
        self._names: dict[ImageId, tuple[Reference, ...]] = {}
        self._named: dict[Reference, ImageId] = {}
        self._users: Counter[str] = Counter()
        self._children: dict[str, tuple[ImageId, ...]] = {}

    def copy(self) -> "Ledger":
        """The same counts, to try something on. Called under the catalog's lock."""
        other = Ledger()
        other._facts, other._names, other._named = dict(self._facts), dict(self._names), dict(self._named)
        other._users, other._children = Counter(self._users), dict(self._children)
        return other

    def facts(self, image: ImageId) -> Facts | None:
        """What is known of an image; None where there is no such image."""
        return self._facts.get(image)

    def users(self, name: str) -> int:
        """How many images need the blob or layer."""
        return self._users[name]

    def children(self, image: ImageId) -> tuple[ImageId, ...]:
        """Images that were made from this one."""
        return self._children.get(image, ())

    def names(self, image: ImageId) -> tuple[Reference, ...]:
        """The names of one image, sorted."""
        return self._names.get(image, ())

    def named(self) -> list[tuple[Reference, ImageId]]:
        """All names with their images, in no order."""
        return list(self._named.items())

    def put(self, image: ImageId, facts: Facts) -> None:
        """An image came, or became another."""
        self.drop(image)
        self._facts[image] = facts
        self._users.update(facts.needs)
        if facts.parent:
            self._children[facts.parent] = (*self._children.get(facts.parent, ()), image)

    def drop(self, image: ImageId) -> None:
        """An image went; nothing happens where there was none."""
        old = self._facts.pop(image, None)
        if old is None:
            return
        for name in old.needs:
            self._users[name] -= 1
            if not self._users[name]:
                del self._users[name]
        if old.parent:
            left = tuple(child for child in self._children[old.parent] if child != image)
            if left:
                self._children[old.parent] = left
            else:
                del self._children[old.parent]

    def name(self, reference: Reference, image: ImageId) -> None:
        """The name means this image from now on."""
        self.unname(reference)
        self._named[reference] = image
        self._names[image] = _sorted((*self._names.get(image, ()), reference))

    def unname(self, reference: Reference) -> None:
        """The name means nothing any more."""
        image = self._named.pop(reference, None)
        if image is None:
            return
        left = _sorted(other for other in self._names[image] if other != reference)
        if left:
            self._names[image] = left
        else:
            del self._names[image]


def _sorted(references: Iterable[Reference]) -> tuple[Reference, ...]:
    return tuple(sorted(references, key=str))


def stacked(diff_ids: Iterable[str]) -> tuple[ChainId, ...]:
    """The chain ids of layers that lie on each other, the lowest first."""
    result: list[ChainId] = []
    for diff_id in diff_ids:
        result.append(chain_id(result[-1] if result else None, DiffId(diff_id)))
    return tuple(result)


def _created(config: Image) -> int | None:
    if not config.created:
        return None
    try:
        return epoch_of(config.created, datetime.now(UTC))
    except InvalidParameter:
        return None  # an image may say nonsense about its age
