"""Images that are made layer by layer here: a build's. Its tars come in one by one, the configuration last.

    hold(base) ─▶ keep(tar) ─▶ keep(tar) ─▶ … ─▶ place, lowest first ─▶ finish(configuration, names)

Everything is held by one lease from before it is there until the record is committed.
"""

import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from sampan.crashpoints import crash_point
from sampan.errors import InvalidParameter
from sampan.files.tar_writer import END
from sampan.images.catalog import Catalog, LayerRecord
from sampan.images.committing import reader_of
from sampan.images.leases import Lease
from sampan.images.references import Reference
from sampan.snapshots.protocol import Draft, chain_id
from sampan.spec.ids import ChainId, DiffId, ImageId
from sampan.spec.oci_image import Image, encode_image

_LIMIT = 256 << 30


@dataclass(frozen=True, slots=True)
class Held:
    """An image that a build stands on: its stack's name, its layers with the lowest first, its configuration."""

    chain: ChainId | None
    layers: tuple[LayerRecord, ...]
    document: Image


class Making:
    """What one build holds. Any thread may call."""

    def __init__(self, catalog: Catalog, lease: Lease) -> None:
        self._catalog = catalog
        self._lease = lease
        self._lock = threading.Lock()
        self._held: dict[ImageId, Held] = {}

    @property
    def lease(self) -> Lease:
        """For whoever finds more that is to be held; one thread at a time."""
        return self._lease

    def hold(self, image: ImageId) -> Held:
        """Keep from removal what an image consists of, and what is known of it: whatever becomes of its record from now on.

        Raises NoSuchImage where it is not there the first time.
        """
        with self._lock, self._catalog.lock:
            if image not in self._held:
                record = self._catalog.hold_image(self._lease, image)
                self._held[image] = Held(self._catalog.chain(image), tuple(record.layers), self._catalog.config(image))
            return self._held[image]

    def take(self, name: str) -> None:
        """Hold a blob or a layer, by digest or chain id."""
        with self._lock:
            self._lease.take(name)

    def keep(self, tar: Iterator[bytes]) -> LayerRecord | None:
        """Take a layer's tar in; None for one with nothing in it. Raises OSError (disk full)."""
        blob, size = self._catalog.content.ingest(reader_of(tar), _LIMIT, claim=self.take)
        return LayerRecord(blob, blob, size) if size != len(END) else None

    def place(self, parent: ChainId | None, draft: Draft, layer: LayerRecord) -> ChainId:
        """Give a sealed draft, whose tar was kept, its name. Raises LayerNotFound, OSError."""
        diff_id = DiffId(layer.diff_id)
        chain = chain_id(parent, diff_id)
        self.take(chain)
        self._catalog.snapshots.drafts.place(parent, draft, diff_id, layer.size)
        return chain

    def finish(self, image: Image, layers: Sequence[LayerRecord], names: Iterable[Reference]) -> ImageId:
        """Record the image that stands on these layers, with its names: durable when this returns. Raises System."""
        identity = ImageId(self._catalog.content.put(encode_image(image), self.take))
        self._catalog.content.sync()
        self._catalog.snapshots.sync()
        crash_point("image-before-commit")
        self._catalog.add(identity, list(layers), list(names))
        crash_point("image-after-commit")
        return identity


def check_names(catalog: Catalog, names: Iterable[Reference]) -> None:
    """Raises InvalidParameter for a name that no image may take."""
    for reference in names:
        if catalog.is_reserved(reference.stored()):
            raise InvalidParameter(f"the name {reference.familiar} is reserved for this machine's own image")


@contextmanager
def making(catalog: Catalog) -> Iterator[Making]:
    """The lease of one build: what is held and in no record at the end of the block is collected."""
    with catalog.lease() as lease:
        yield Making(catalog, lease)
