"""`load`: archives of Docker (old and new) and of OCI, from a stream, in one pass over it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

from sampan.content.store import Content
from sampan.crashpoints import crash_point
from sampan.errors import InvalidParameter
from sampan.files.tar_reader import BadArchive
from sampan.images import host
from sampan.images.archive import Archive
from sampan.images.catalog import Catalog, LayerRecord, ManifestRecord
from sampan.images.leases import Lease
from sampan.images.platforms import choose
from sampan.images.references import Reference, parse_reference
from sampan.snapshots.protocol import chain_id
from sampan.spec.ids import ChainId, DiffId, Digest, ImageId, parse_digest
from sampan.spec.oci_image import (
    CONFIG_LIMIT,
    CONTAINERD_NAME,
    DOCKER_INDEX,
    MANIFEST_LIMIT,
    OCI_INDEX,
    OCI_MANIFEST,
    REF_NAME,
    ArchivedImage,
    Descriptor,
    decode,
    decode_image,
    decode_index,
    decode_manifest,
)

_IMAGES_LIMIT = 1000
_INDEX_DEPTH = 4


@dataclass(frozen=True, slots=True)
class LayerLoaded:
    """Progress: a layer of `total` bytes is unpacked."""

    diff_id: DiffId
    total: int


@dataclass(frozen=True, slots=True)
class Message:
    """A line for the user, without its line end."""

    text: str


@dataclass(frozen=True, slots=True)
class Loaded:
    """An image that is there now: durable, named."""

    image: ImageId
    names: tuple[str, ...]


LoadEvent = LayerLoaded | Message | Loaded


@dataclass(frozen=True, slots=True)
class _Plan:
    """One image of the archive: content that was taken in, and names."""

    config: Digest
    layers: tuple[Digest, ...]
    names: tuple[Reference, ...] = field(default=())
    manifests: tuple[ManifestRecord, ...] = ()


def load(catalog: Catalog, stream: BinaryIO) -> Iterator[LoadEvent]:
    """Take in every image of the archive in `stream`, compressed or not. Each is whole and durable before its `Loaded`.

    Raises BadArchive and InvalidParameter where the archive is at fault, OSError for the host's trouble; images that were
    reported stay, nothing else does.
    """
    with catalog.lease() as lease:
        archive = Archive(catalog.content, lease)
        archive.read(stream)
        for plan in _plans(archive, catalog.content):
            yield from _load_image(catalog, lease, plan)


def _plans(archive: Archive, content: Content) -> list[_Plan]:
    listed = archive.document(b"manifest.json")
    if listed is not None:
        images = decode(listed, list[ArchivedImage], "manifest.json")
        if len(images) > _IMAGES_LIMIT:
            raise BadArchive(f"the archive has more than {_IMAGES_LIMIT} images")
        return [
            _Plan(
                archive.member(image.config)[0],
                tuple(archive.member(name)[0] for name in image.layers or ()),
                tuple(_tag(name) for name in image.repo_tags or ()),
            )
            for image in images
        ]
    index = archive.document(b"index.json")
    if index is not None:
        descriptors = decode_index(index).manifests or []
        if len(descriptors) > _IMAGES_LIMIT:
            raise BadArchive(f"the archive has more than {_IMAGES_LIMIT} images")
        return [_oci_plan(archive, content, descriptor) for descriptor in descriptors]
    raise BadArchive("the archive holds no image: it has neither manifest.json nor index.json")


def _tag(name: str) -> Reference:
    reference = parse_reference(name)
    if reference.digest is not None:
        raise InvalidParameter(f"invalid tag {name!r}")
    return reference.with_default_tag()


def _oci_plan(archive: Archive, content: Content, descriptor: Descriptor) -> _Plan:
    names = _annotated_names(descriptor)
    way: list[ManifestRecord] = []
    for _ in range(_INDEX_DEPTH):
        digest = archive.blob(descriptor.digest)
        data = content.read(digest, MANIFEST_LIMIT)
        if descriptor.media_type not in (OCI_INDEX, DOCKER_INDEX):
            manifest = decode_manifest(data, descriptor.media_type)
            assert manifest.config is not None
            layers = tuple(archive.blob(layer.digest) for layer in manifest.layers or ())
            way.append(
                ManifestRecord(digest, manifest.media_type or descriptor.media_type or OCI_MANIFEST, list(layers))
            )
            return _Plan(archive.blob(manifest.config.digest), layers, names, tuple(way))
        chosen = choose(decode_index(data, descriptor.media_type).manifests or [])
        way.append(ManifestRecord(digest, descriptor.media_type))
        if chosen is None:
            raise BadArchive("the archive has no image for this machine's platform")
        descriptor = chosen
    raise BadArchive("the archive's indexes are nested too deeply")


def _annotated_names(descriptor: Descriptor) -> tuple[Reference, ...]:
    """containerd's annotation is a full name; OCI's may be a name or a mere tag, which names nothing here."""
    annotations = descriptor.annotations or {}
    name = annotations.get(CONTAINERD_NAME) or annotations.get(REF_NAME, "")
    if ":" in name or "/" in name:
        return (_tag(name),)
    return ()


def _load_image(catalog: Catalog, lease: Lease, plan: _Plan) -> Iterator[LoadEvent]:
    config = decode_image(catalog.content.read(plan.config, CONFIG_LIMIT))
    if config.os not in ("", "linux"):
        raise InvalidParameter(f"cannot load {config.os} image on linux")
    diff_ids = [DiffId(parse_digest(text)) for text in (config.rootfs.diff_ids if config.rootfs else None) or ()]
    if len(diff_ids) != len(plan.layers):
        raise BadArchive(f"invalid manifest, layers length mismatch: expected {len(diff_ids)}, got {len(plan.layers)}")
    if host.DIFF_ID in diff_ids:
        raise InvalidParameter("an image that stands on the image host cannot be loaded: it is a part of this machine")
    for name in plan.names:
        if catalog.is_reserved(name):
            raise InvalidParameter(f"the name {name.familiar} is reserved for this machine's own image")
    image = ImageId(plan.config)
    parent: ChainId | None = None
    layers = []
    for diff_id, blob in zip(diff_ids, plan.layers, strict=True):
        lease.take(chain_id(parent, diff_id))
        with catalog.content.open(blob) as stream:
            layer = catalog.snapshots.apply(parent, stream, diff_id)
        yield LayerLoaded(diff_id, layer.tar_size)
        layers.append(LayerRecord(blob, diff_id, catalog.content.size(blob)))
        parent = layer.chain
    yield from _record(catalog, image, layers, plan)


def _record(catalog: Catalog, image: ImageId, layers: list[LayerRecord], plan: _Plan) -> Iterator[LoadEvent]:
    names = plan.names
    # The files before the record: it must not be there after a power cut without them.
    catalog.content.sync()
    catalog.snapshots.sync()
    crash_point("image-before-commit")
    messages = []
    with catalog.lock:
        for name in names:
            previous = catalog.by_reference(name)
            if previous is not None and previous != image:
                messages.append(
                    f"The image {name.familiar} already exists, renaming the old one with ID {previous} to empty string"
                )
        catalog.add(image, layers, names, manifests=plan.manifests)
    crash_point("image-after-commit")
    for text in messages:
        yield Message(text)
    for name in names:
        yield Message(f"Loaded image: {name.familiar}")
    if not names:
        yield Message(f"Loaded image ID: {image}")
    yield Loaded(image, tuple(name.familiar for name in names))
