"""A result as registries know it: a manifest for each image, and an index over them where there are several, or attestations.

manifest                                   of one image of which nothing is attested
index ─┬▶ manifest   linux/amd64
       ├▶ manifest   linux/arm64
       ├▶ attestation manifest   unknown/unknown, of the first
       └▶ attestation manifest   unknown/unknown, of the second
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from sampan.build.outputs.annotations import Annotations
from sampan.build.outputs.attestations import Statement, attestation_manifest, subjects
from sampan.images.catalog import Catalog, ImageRecord
from sampan.images.leases import Lease
from sampan.images.packing import is_gzip, pack, packed_before
from sampan.images.platforms import shown
from sampan.images.references import Reference
from sampan.images.saving import IndexDocument, LayerSource, ManifestDocument, plain_layers
from sampan.images.steps import Cancellation
from sampan.spec.ids import Digest, ImageId, digest_of
from sampan.spec.oci_image import (
    CONFIG_LIMIT,
    OCI_CONFIG,
    OCI_INDEX,
    OCI_LAYER,
    OCI_MANIFEST,
    Descriptor,
    Platform,
)


@dataclass(frozen=True, slots=True)
class Portion:
    """The image of one platform, and what is attested of it."""

    platform: Platform
    image: ImageId
    statements: Sequence[Statement] = ()


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the documents are to say, and how layers are to lie: as plain tars, or as gzip (`packed`)."""

    names: Sequence[Reference] = ()
    annotations: Annotations = field(default_factory=Annotations)
    packed: bool = False
    indexed: bool = False
    """an index, also over one image of which nothing is attested"""


@dataclass(slots=True)
class Composed:
    """The documents of a result. `top` is the index, or the only manifest; `small` has all bytes but those of `layers`."""

    top: Descriptor
    manifests: list[Descriptor]
    """of the images, in their order"""
    layers_of: list[list[str]]
    """the blobs of each"""
    small: dict[str, bytes]
    layers: dict[str, LayerSource]

    @property
    def is_index(self) -> bool:
        """Whether `top` is an index."""
        return self.top.media_type == OCI_INDEX


def compose(catalog: Catalog, lease: Lease, portions: Sequence[Portion], wanted: Wanted, end: Cancellation) -> Composed:
    """Everything that is needed is held by `lease` from now on; layers that have to be packed are packed.

    The same images with the same words give the same bytes. Raises NoSuchImage, InvalidParameter, OSError, Cancelled.
    """
    indexed = wanted.indexed or len(portions) > 1 or any(one.statements for one in portions)
    wanted.annotations.check((one.platform for one in portions), indexed=indexed)
    composer = _Composer(catalog, lease, wanted, end)
    manifests = [composer.manifest(one) for one in portions]
    small, layers = composer.small, composer.layers
    if not indexed:
        return Composed(manifests[0], manifests, composer.layers_of, small, layers)
    about = [
        composer.attested(manifest, one) for manifest, one in zip(manifests, portions, strict=True) if one.statements
    ]
    index = IndexDocument([*manifests, *about], annotations=dict(wanted.annotations.index) or msgspec.UNSET)
    data = msgspec.json.encode(index)
    told = dict(wanted.annotations.index_descriptor) or None
    top = Descriptor(OCI_INDEX, composer.put(data), len(data), annotations=told)
    return Composed(top, manifests, composer.layers_of, small, layers)


class _Composer:
    def __init__(self, catalog: Catalog, lease: Lease, wanted: Wanted, end: Cancellation) -> None:
        self._catalog = catalog
        self._lease = lease
        self._wanted = wanted
        self._end = end
        self.small: dict[str, bytes] = {}
        self.layers: dict[str, LayerSource] = {}
        self.layers_of: list[list[str]] = []

    def put(self, data: bytes) -> str:
        """A small document of the result; its digest."""
        digest = digest_of(data)
        self.small[digest] = data
        return digest

    def manifest(self, portion: Portion) -> Descriptor:
        """The manifest of an image, as an entry of an index."""
        catalog, image, annotations = self._catalog, portion.image, self._wanted.annotations
        record = catalog.hold_image(self._lease, image)
        config = catalog.content.read(Digest(image), CONFIG_LIMIT)
        self.small[image] = config
        layers = self._packed(record) if self._wanted.packed else plain_layers(catalog, image, record, self.layers)
        self.layers_of.append([layer.digest for layer in layers])
        told = annotations.manifest(portion.platform)
        data = msgspec.json.encode(
            ManifestDocument(Descriptor(OCI_CONFIG, image, len(config)), layers, annotations=told or msgspec.UNSET)
        )
        beside = annotations.manifest_descriptor(portion.platform)
        return Descriptor(
            OCI_MANIFEST, self.put(data), len(data), annotations=beside or None, platform=portion.platform
        )

    def _packed(self, record: ImageRecord) -> list[Descriptor]:
        content = self._catalog.content
        found = []
        for layer in record.layers:
            blob = Digest(layer.blob)
            if not is_gzip(content, blob):
                before = packed_before(self._catalog, layer.diff_id)
                if before is not None and self._lease.keep_blob(before):
                    blob = before
                else:
                    blob = pack(content, layer, self._lease, self._end)
            size = content.size(blob)
            self.layers[blob] = LayerSource(blob, size, unpacked=False)
            found.append(Descriptor(OCI_LAYER + "+gzip", blob, size))
        return found

    def attested(self, manifest: Descriptor, portion: Portion) -> Descriptor:
        """The manifest of what is attested of an image, as an entry of an index."""
        names = subjects(self._wanted.names, shown(portion.platform))
        described, blobs = attestation_manifest(manifest, portion.statements, names)
        self.small.update(blobs)
        return described
