"""The records of images and references in the state, and the questions that are answered from them alone.

images      image id    → ImageRecord      what an image consists of; its configuration's bytes are in the content store
references  full name   → image id         `docker.io/library/busybox:latest`, `…@sha256:…`

Every commit of these goes through `Catalog.commit`, which keeps the ledger in step.
"""

import functools
import threading
import time
from collections.abc import Iterable

import msgspec

from sampan.content.store import Content
from sampan.errors import NotFound, SampanError, System
from sampan.images import host
from sampan.images.collection import Collection
from sampan.images.leases import Lease
from sampan.images.ledger import Facts, Ledger, facts_of, facts_of_broken
from sampan.images.references import Reference, id_prefix, parse_any, parse_reference
from sampan.snapshots.protocol import LayerNotFound, Snapshotter, has_layer
from sampan.spec.ids import ChainId, Digest, ImageId
from sampan.spec.oci_image import CONFIG_LIMIT, Image, decode_image
from sampan.state.records import decoded
from sampan.state.store import Change, Delete, Put, Store

IMAGES, REFERENCES = "images", "references"


class LayerRecord(msgspec.Struct, frozen=True):
    """One layer: its tar as it lies in the content store (compressed or not), and the digest of the tar itself."""

    blob: str
    diff_id: str
    size: int


class ManifestRecord(msgspec.Struct, frozen=True):
    """A manifest or index through which the image came or went. Its bytes are in the content store as long as the image is.

    `layers`: the blobs by which it names the image's layers, the lowest first, kept like itself; empty for an index.
    `repositories`: where it is known to lie (`docker.io/library/busybox`), and its blobs with it. `holds`: all that an index
    that was made here leads to, of every platform; empty where only this image of it is here.
    """

    digest: str
    media_type: str
    layers: list[str] = []
    repositories: list[str] = []
    holds: list[str] = []

    def blobs(self) -> list[str]:
        """Its own, and those that it names."""
        return [self.digest, *self.layers, *self.holds]


class ImageRecord(msgspec.Struct, frozen=True):
    """One image. `added` and `tagged` are nanoseconds since the epoch, 0 for never; `parent` is "" where there is none.

    `manifests`: the latest last.
    """

    layers: list[LayerRecord]
    added: int
    tagged: int = 0
    parent: str = ""
    manifests: list[ManifestRecord] = []

    def blobs(self) -> set[str]:
        """All that lies in the content store for the image, beside its configuration."""
        return {layer.blob for layer in self.layers}.union(*(manifest.blobs() for manifest in self.manifests))


class NoSuchImage(NotFound):
    """In Docker's words, which docker-py and others read."""

    def __init__(self, asked: Reference | str) -> None:
        name = asked.with_default_tag().familiar if isinstance(asked, Reference) else asked
        super().__init__(f"No such image: {name}")


class BrokenImage(System):
    """An image whose configuration is lost or was changed on the disk."""

    def __init__(self, image: ImageId, reason: str) -> None:
        super().__init__(f"image {image} is damaged: {reason}; `sampan system check` tells more")


class Catalog:
    """Reads and writes the records; keeps what is no longer named by any of them from piling up. Any thread may call.

    `lock` is held by whoever changes records, from the decision to the commit.
    """

    def __init__(self, store: Store, content: Content, snapshots: Snapshotter) -> None:
        self._store = store
        self.content = content
        self.snapshots = snapshots
        self.lock = threading.RLock()
        self._images = store.table(IMAGES)
        self._references = store.table(REFERENCES)
        self.ledger = Ledger()
        self._collection = Collection(content, snapshots, self.ledger, self.lock)
        self.lease = self._collection.lease
        self.collect = self._collection.collect
        self.container_gone = self._collection.container_gone
        self.orphans = self._collection.orphans
        self.sweep = self._collection.sweep
        self.keepers = self._collection.keepers
        self.is_leased = self._collection.is_leased
        self.left = self._collection.left
        self._fixed: dict[ImageId, Image] = {}
        self._fixed_references: dict[Reference, ImageId] = {}
        self.config = functools.lru_cache(maxsize=256)(self._read_config)
        self._decode = msgspec.json.Decoder(ImageRecord).decode
        self._decoded: dict[ImageId, tuple[bytes, ImageRecord]] = {}
        """records of images that are there, with the bytes that each was read from"""
        for key in self._images:
            self.refresh(ImageId(key))
        for key, value in self._references.items():
            self.ledger.name(parse_reference(key), ImageId(value.decode()))

    def add_fixed(self, image: ImageId, config: Image, reference: Reference) -> None:
        """An image that is not in the state: always there, under this one name, never changed."""
        self._fixed[image] = config
        self._fixed_references[reference] = image
        self.refresh(image)

    def is_fixed(self, image: ImageId) -> bool:
        """Whether the image is one of those."""
        return image in self._fixed

    def is_reserved(self, reference: Reference) -> bool:
        """Whether the name belongs to such an image."""
        return reference in self._fixed_references

    def images(self) -> tuple[ImageId, ...]:
        """All images, in the order in which they came."""
        return (*self._fixed, *(ImageId(key) for key in tuple(self._images)))

    def has(self, image: ImageId) -> bool:
        """Whether there is such an image."""
        return image in self._images or image in self._fixed

    def record(self, image: ImageId) -> ImageRecord:
        """The record of an image. Raises NoSuchImage."""
        if image in self._fixed:
            return ImageRecord([], 0)
        try:
            text = self._images[image]
        except KeyError:
            raise NoSuchImage(image) from None
        kept = self._decoded.get(image)
        if kept is None or kept[0] is not text:
            kept = self._decoded[image] = (text, decoded(IMAGES, image, text, self._decode))
            if self._images.get(image) is not text:
                # It went, or was changed, in between: whoever did that may have looked here before.
                self._decoded.pop(image, None)
        return kept[1]

    def _read_config(self, image: ImageId) -> Image:
        fixed = self._fixed.get(image)
        if fixed is not None:
            return fixed
        try:
            return decode_image(self.content.read(Digest(image), CONFIG_LIMIT))
        except (SampanError, OSError) as error:
            if self.has(image):
                raise BrokenImage(image, str(error)) from error
            raise

    def refresh(self, image: ImageId) -> None:
        """Read an image's configuration and layers again for the ledger: it is new, or was mended."""
        record = self.record(image)
        blobs = record.blobs()
        try:
            config = self.config(image)
        except SampanError as error:
            diff_ids = [layer.diff_id for layer in record.layers]
            facts = facts_of_broken(image, record.parent, blobs, diff_ids, self._layer_size, str(error))
        else:
            facts = facts_of(image, record.parent, blobs, config, self._layer_size)
        self.ledger.put(image, facts)

    def forget_config(self, image: ImageId) -> None:
        """Its configuration's bytes are no longer to be trusted: read them again."""
        self.config.cache_clear()
        with self.lock:
            if self.has(image):
                self.refresh(image)

    def _layer_size(self, chain: ChainId) -> int:
        """0 for what lies in no store of ours (the machine's own root), or is lost."""
        try:
            return self.snapshots.layer(chain).size
        except LayerNotFound:
            return 0

    def facts(self, image: ImageId) -> Facts:
        """What the ledger knows of an image. Raises NoSuchImage."""
        facts = self.ledger.facts(image)
        if facts is None:
            raise NoSuchImage(image)
        return facts

    def needs(self, image: ImageId) -> frozenset[str]:
        """The blobs and layers of an image; nothing where there is no such image."""
        facts = self.ledger.facts(image)
        return facts.needs if facts is not None else frozenset()

    def chain(self, image: ImageId) -> ChainId | None:
        """What a container of the image stands on; None for an image without layers. Raises NoSuchImage."""
        chains = self.facts(image).chains
        return chains[-1] if chains else None

    def chains(self, image: ImageId) -> tuple[ChainId, ...]:
        """The chain ids of the image's layers, the lowest first. Raises NoSuchImage."""
        return self.facts(image).chains

    def size(self, image: ImageId) -> int:
        """Bytes of all layers; what lies in no store of ours counts nothing. Raises NoSuchImage."""
        return self.facts(image).size

    def children(self, image: ImageId) -> tuple[ImageId, ...]:
        """Images that were made from this one here (commit, the classic builder)."""
        return self.ledger.children(image)

    def find(self, text: str) -> ImageId:
        """The image that a user means: by name, id, or the beginning of an id. Raises NoSuchImage, InvalidParameter."""
        asked = parse_any(text)
        if not isinstance(asked, Reference):
            if self.has(asked):
                return asked
            raise NoSuchImage(asked)
        found = self.by_reference(asked) or self.by_prefix(text)
        if found is None:
            raise NoSuchImage(asked)
        return found

    def by_reference(self, reference: Reference) -> ImageId | None:
        """The image under this name, `latest` where it has no tag."""
        stored = reference.stored()
        fixed = self._fixed_references.get(stored)
        if fixed is not None:
            return fixed
        value = self._references.get(str(stored))
        return ImageId(value.decode()) if value is not None else None

    def by_prefix(self, text: str) -> ImageId | None:
        """The one image whose id begins with `text`; None where there is none or more than one."""
        prefix = id_prefix(text)
        if prefix is None:
            return None
        found = [image for image in self.images() if image.startswith(f"sha256:{prefix}")]
        return found[0] if len(found) == 1 else None

    def references(self) -> list[tuple[Reference, ImageId]]:
        """All names, sorted."""
        return sorted([*self.ledger.named(), *self._fixed_references.items()], key=lambda pair: str(pair[0]))

    def references_of(self, image: ImageId) -> list[Reference]:
        """The names of one image, sorted."""
        names = list(self.ledger.names(image))
        if self.is_fixed(image):
            names += [reference for reference, fixed in self._fixed_references.items() if fixed == image]
        return sorted(names, key=str)

    def commit(self, changes: Iterable[Change]) -> None:
        """Write, and wait until it is durable; the ledger follows. Raises System."""
        with self.lock:
            listed = list(changes)
            try:
                self._store.commit(listed).result()
                for change in listed:
                    self._follow(change)
            except System:
                raise  # the records are as they were
            except BaseException:
                self._collection.stop()
                raise

    def _follow(self, change: Change) -> None:
        if change.table == IMAGES:
            if isinstance(change, Put):
                self.refresh(ImageId(change.key))
            else:
                self.ledger.drop(ImageId(change.key))
                self._decoded.pop(ImageId(change.key), None)
        elif change.table == REFERENCES:
            reference = parse_reference(change.key)
            if isinstance(change, Put):
                self.ledger.name(reference, ImageId(change.value.decode()))
            else:
                self.ledger.unname(reference)

    def add(
        self,
        image: ImageId,
        layers: list[LayerRecord],
        names: Iterable[Reference],
        parent: ImageId | str = "",
        manifests: Iterable[ManifestRecord] = (),
    ) -> None:
        """Record an image with its names in one commit; one that is there already only gets names and manifests.

        Raises System.
        """
        now, named = time.time_ns(), list(names)
        with self.lock:
            record = self.record(image) if self.has(image) else ImageRecord(layers, now, parent=parent)
            if layers and not all(self.content.has(Digest(blob)) for blob in record.blobs()):
                # Some were lost; these were just brought. A manifest that lacks a blob is of no use.
                kept = [one for one in record.manifests if all(map(self.content.has, map(Digest, one.blobs())))]
                record = msgspec.structs.replace(record, layers=layers, manifests=kept)
            record = msgspec.structs.replace(record, manifests=_merged(record.manifests, manifests))
            if any(name.digest is None for name in named):
                record = msgspec.structs.replace(record, tagged=now)
            changes: list[Change] = [Put(REFERENCES, str(name.stored()), image.encode()) for name in named]
            self.commit([Put(IMAGES, image, msgspec.json.encode(record)), *changes])

    def set_reference(self, reference: Reference, image: ImageId) -> list[Change]:
        """The changes that give the image this name, taking it from another."""
        changes: list[Change] = [Put(REFERENCES, str(reference.stored()), image.encode())]
        if not self.is_fixed(image):
            record = msgspec.structs.replace(self.record(image), tagged=time.time_ns())
            changes.append(Put(IMAGES, image, msgspec.json.encode(record)))
        return changes

    def drop_reference(self, reference: Reference) -> Change:
        """The change that takes the name away."""
        return Delete(REFERENCES, str(reference.stored()))

    def hold_image(self, lease: Lease, image: ImageId) -> ImageRecord:
        """Hold everything that the image needs, whatever becomes of its record; the record. Raises NoSuchImage."""
        with self.lock:
            record = self.record(image)
            for name in self.facts(image).needs:
                lease.take(name)
            return record

    def hold_whole(self, lease: Lease, image: ImageId) -> ImageRecord | None:
        """The same for an image that lacks nothing; None where there is no such image, or something of it was lost.

        Whoever brings an image need bring nothing then, even if its record goes a moment later.
        """
        with self.lock:
            if not self.has(image):
                return None
            record, facts = self.hold_image(lease, image), self.facts(image)
            blobs = [Digest(image), *(Digest(name) for name in record.blobs())]
            layers = [chain for chain in facts.chains if chain != host.CHAIN]
            packed = all(map(self.content.has, blobs))
            unpacked = all(has_layer(self.snapshots, layer) for layer in layers)
            return record if packed and unpacked and not facts.broken else None


def _merged(known: list[ManifestRecord], fresh: Iterable[ManifestRecord]) -> list[ManifestRecord]:
    """`fresh` behind what is known; one that is known moves there, and is known in all its repositories."""
    result = {manifest.digest: manifest for manifest in known}
    for manifest in fresh:
        before = result.pop(manifest.digest, manifest)
        repositories = list(dict.fromkeys([*before.repositories, *manifest.repositories]))
        holds = manifest.holds or before.holds
        result[manifest.digest] = msgspec.structs.replace(manifest, repositories=repositories, holds=holds)
    return list(result.values())
