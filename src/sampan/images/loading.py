"""`load`: archives of Docker (old and new) and of OCI, from a stream, in one pass over it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

from sampan.content.store import Content
from sampan.crashpoints import crash_point
from sampan.errors import InvalidParameter, NotFound
from sampan.files.tar_reader import BadArchive
from sampan.images import host
from sampan.images.ahead import Ahead, LayerProgress
from sampan.images.archive import Archive
from sampan.images.catalog import Catalog, LayerRecord, ManifestRecord
from sampan.images.leases import Lease
from sampan.images.platforms import choose, fits, parse_platform
from sampan.images.references import Reference, check_new, parse_reference
from sampan.snapshots.protocol import chain_id
from sampan.spec.ids import ChainId, DiffId, Digest, ImageId, parse_digest
from sampan.spec.oci_image import (
    CONFIG_LIMIT,
    CONTAINERD_NAME,
    DOCKER_INDEX,
    DOCKER_MANIFEST,
    MANIFEST_LIMIT,
    OCI_INDEX,
    OCI_MANIFEST,
    REF_NAME,
    REFERENCE_TYPE,
    ArchivedImage,
    Descriptor,
    Image,
    Manifest,
    Platform,
    decode,
    decode_image,
    decode_index,
    decode_manifest,
)

_IMAGES_LIMIT = 1000
_INDEX_DEPTH = 4
# Docker 29's words; before it told of a file that it had not found in a directory of its own.
_NO_MANIFEST = "invalid archive: does not contain a manifest.json"
_ANCIENT = ", for it is of a Docker before 1.10: let a Docker from 1.10 to 28 load it and save it again"


@dataclass(frozen=True, slots=True)
class Message:
    """A line for the user, without its line end."""

    text: str


@dataclass(frozen=True, slots=True)
class Loaded:
    """An image that is there now: durable, named."""

    image: ImageId
    names: tuple[str, ...]


LoadEvent = LayerProgress | Message | Loaded


@dataclass(frozen=True, slots=True)
class _Plan:
    """One image of the archive: content that was taken in, and names."""

    config: Digest
    layers: tuple[Digest, ...]
    names: tuple[Reference, ...] = field(default=())
    manifests: tuple[ManifestRecord, ...] = ()


def load(catalog: Catalog, stream: BinaryIO, platform: str = "") -> Iterator[LoadEvent]:
    """Take in every image of the archive in `stream`, compressed or not. Each is whole and durable before its `Loaded`.

    `platform` ("linux/arm64", "" for none) leaves images for others out. Raises BadArchive and InvalidParameter where the
    archive is at fault, NotFound where nothing is for the platform, OSError for the host's trouble; images that were reported
    stay, nothing else does.
    """
    wanted = parse_platform(platform) if platform else None
    with catalog.lease() as lease, Ahead(catalog) as ahead:
        archive = Archive(catalog.content, lease, ahead)
        archive.read(stream)
        loaded = False
        for plan in _plans(archive, catalog.content, wanted):
            config = decode_image(catalog.content.read(plan.config, CONFIG_LIMIT))
            if config.os not in ("", "linux"):
                raise InvalidParameter(f"cannot load {config.os} image on linux")
            if wanted is None or fits(
                Platform(config.architecture, config.os or "linux", variant=config.variant), wanted
            ):
                yield from _load_image(catalog, lease, ahead, plan, config)
                loaded = True
        if wanted is not None and not loaded:
            raise NotFound(f"the archive does not provide the specified platform ({platform})")


def _plans(archive: Archive, content: Content, wanted: Platform | None) -> list[_Plan]:
    listed = archive.document(b"manifest.json")
    index = archive.document(b"index.json")
    descriptors = (decode_index(index).manifests or []) if index is not None else []
    if len(descriptors) > _IMAGES_LIMIT:
        raise BadArchive(f"the archive has more than {_IMAGES_LIMIT} images")
    if listed is not None:
        return _docker_plans(archive, content, listed, descriptors)
    if index is None:
        raise BadArchive(_NO_MANIFEST + (_ANCIENT if archive.document(b"repositories") is not None else ""))
    plans = [_oci_plan(archive, content, descriptor, wanted) for descriptor in descriptors if not _is_about(descriptor)]
    return [plan for plan in plans if plan is not None]


def _docker_plans(archive: Archive, content: Content, listed: bytes, descriptors: list[Descriptor]) -> list[_Plan]:
    """Docker's list says what to load; an OCI index beside it, which manifests the images came by."""
    images = decode(listed, list[ArchivedImage], "manifest.json")
    if len(images) > _IMAGES_LIMIT:
        raise BadArchive(f"the archive has more than {_IMAGES_LIMIT} images")
    came_by: dict[Digest, list[ManifestRecord]] = {}
    for descriptor in descriptors:
        if descriptor.media_type in (OCI_MANIFEST, DOCKER_MANIFEST) and archive.has(descriptor.digest):
            digest, manifest = _manifest(archive, content, descriptor)
            assert manifest.config is not None
            if all(archive.has(layer.digest) for layer in manifest.layers or ()):
                record = _record_of(digest, manifest, descriptor, archive)
                came_by.setdefault(parse_digest(manifest.config.digest), []).append(record)
    return [
        _Plan(
            config := archive.member(image.config)[0],
            tuple(archive.member(name)[0] for name in image.layers or ()),
            tuple(_tag(name) for name in image.repo_tags or ()),
            tuple(came_by.get(config, ())),
        )
        for image in images
    ]


def _tag(name: str) -> Reference:
    reference = parse_reference(name)
    if reference.digest is not None:
        raise InvalidParameter(f"invalid tag {name!r}")
    return check_new(reference.with_default_tag())


def _oci_plan(archive: Archive, content: Content, descriptor: Descriptor, wanted: Platform | None) -> _Plan | None:
    """The image that an entry of the index leads to; None where it has none for the platform that was asked for."""
    names = _annotated_names(descriptor)
    way: list[ManifestRecord] = []
    for _ in range(_INDEX_DEPTH):
        if descriptor.media_type not in (OCI_INDEX, DOCKER_INDEX):
            digest, manifest = _manifest(archive, content, descriptor)
            assert manifest.config is not None
            layers = tuple(archive.blob(layer.digest) for layer in manifest.layers or ())
            way.append(_record_of(digest, manifest, descriptor, archive))
            return _Plan(archive.blob(manifest.config.digest), layers, names, tuple(way))
        digest = archive.blob(descriptor.digest)
        entries = decode_index(content.read(digest, MANIFEST_LIMIT), descriptor.media_type).manifests or []
        # An index that was saved for one platform still lists the others.
        chosen = choose([entry for entry in entries if archive.has(entry.digest) and not _is_about(entry)], wanted)
        way.append(ManifestRecord(digest, descriptor.media_type))
        if chosen is None:
            if wanted is not None:
                return None
            raise BadArchive("the archive has no image for this machine's platform")
        descriptor = chosen
    raise BadArchive("the archive's indexes are nested too deeply")


def _manifest(archive: Archive, content: Content, descriptor: Descriptor) -> tuple[Digest, Manifest]:
    digest = archive.blob(descriptor.digest)
    return digest, decode_manifest(content.read(digest, MANIFEST_LIMIT), descriptor.media_type)


def _record_of(digest: Digest, manifest: Manifest, descriptor: Descriptor, archive: Archive) -> ManifestRecord:
    layers = [archive.blob(layer.digest) for layer in manifest.layers or ()]
    return ManifestRecord(digest, manifest.media_type or descriptor.media_type or OCI_MANIFEST, list(layers))


def _is_about(descriptor: Descriptor) -> bool:
    """Whether it is an attestation, or another artifact that speaks of an image and is none."""
    about = (descriptor.annotations or {}).get(REFERENCE_TYPE, "")
    unknown = (
        descriptor.platform is not None and descriptor.platform.os == descriptor.platform.architecture == "unknown"
    )
    return about == "attestation-manifest" or unknown


def _annotated_names(descriptor: Descriptor) -> tuple[Reference, ...]:
    """containerd's annotation is a full name; OCI's may be a name or a mere tag, which names nothing here."""
    annotations = descriptor.annotations or {}
    name = annotations.get(CONTAINERD_NAME) or annotations.get(REF_NAME, "")
    if ":" in name or "/" in name:
        return (_tag(name),)
    return ()


def _load_image(catalog: Catalog, lease: Lease, ahead: Ahead, plan: _Plan, config: Image) -> Iterator[LoadEvent]:
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
        layer = yield from ahead.layer(parent, diff_id, blob)
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
