"""`save`: an archive as Docker 25 and later write it, an OCI layout with Docker's own lists beside; streamed.

An image that came by a manifest leaves by it, with the very blobs that it names, so that its digest survives. Others get a
manifest of plain tars, named by their diff ids: so the same image gives the same archive. What Docker 20.10 cannot unpack
(zstd) stands in Docker's list as a plain tar, too.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import msgspec

from sampan.errors import Forbidden, NotFound, System
from sampan.files import tar_reader as tar
from sampan.files.compression import decompressed
from sampan.files.tar_writer import END, header, member, padding
from sampan.images import host
from sampan.images.catalog import Catalog, ImageRecord, ManifestRecord, NoSuchImage
from sampan.images.leases import Lease
from sampan.images.platforms import fits, parse_platform
from sampan.images.references import DEFAULT_DOMAIN, Reference, parse_any
from sampan.spec.ids import Digest, ImageId, digest_of
from sampan.spec.oci_image import (
    CONFIG_LIMIT,
    CONTAINERD_NAME,
    DOCKER_INDEX,
    MANIFEST_LIMIT,
    OCI_CONFIG,
    OCI_INDEX,
    OCI_LAYER,
    OCI_MANIFEST,
    REF_NAME,
    Descriptor,
    Image,
    Platform,
)

_CHUNK = 1 << 20


class ManifestDocument(msgspec.Struct, frozen=True, rename="camel"):
    """A manifest as it is written here."""

    config: Descriptor
    layers: list[Descriptor]
    media_type: str = OCI_MANIFEST
    schema_version: int = 2
    annotations: dict[str, str] | msgspec.UnsetType = msgspec.UNSET


class IndexDocument(msgspec.Struct, frozen=True, rename="camel"):
    """An index as it is written here."""

    manifests: list[Descriptor]
    media_type: str = OCI_INDEX
    schema_version: int = 2
    annotations: dict[str, str] | msgspec.UnsetType = msgspec.UNSET


class _Listed(msgspec.Struct, frozen=True, rename="pascal"):
    config: str
    repo_tags: list[str] | None
    layers: list[str]
    layer_sources: dict[str, Descriptor] | None


@dataclass(slots=True)
class Chosen:
    """An image, and the tags under which it is to be found again."""

    image: ImageId
    tags: list[Reference] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class LayerSource:
    """Where the bytes of a layer come from: a blob, as it is or unpacked."""

    blob: Digest
    size: int
    unpacked: bool


@dataclass(slots=True)
class Parts:
    """What the archive will hold, by digest: small documents as bytes, layers to be read."""

    small: dict[str, bytes] = field(default_factory=dict)
    layers: dict[str, LayerSource] = field(default_factory=dict)
    index: list[Descriptor] = field(default_factory=list)
    listed: list[_Listed] = field(default_factory=list)
    repositories: dict[str, dict[str, str]] = field(default_factory=dict)


def choose_images(catalog: Catalog, names: Sequence[str], platform: str = "") -> list[Chosen]:
    """What `names` ask for: an id without its tags, a repository with all of them, a tag. `platform` "" takes any.

    Raises NoSuchImage, NotFound (for another platform, too), InvalidParameter; Forbidden for the image host and what stands
    on it.
    """
    wanted = parse_platform(platform) if platform else None
    chosen: dict[ImageId, Chosen] = {}
    for name in names:
        for image, tag in _named(catalog, name):
            rootfs = catalog.config(image).rootfs
            if rootfs is not None and host.DIFF_ID in (rootfs.diff_ids or ()):
                raise Forbidden(f"{name} stands on the image host, which is this machine itself and cannot leave it")
            if wanted is not None and not fits(_platform(catalog.config(image)), wanted):
                # A 500 in Docker.
                raise System(f"no suitable export target found for platform {platform}")
            entry = chosen.setdefault(image, Chosen(image))
            if tag is not None and tag not in entry.tags:
                entry.tags.append(tag)
    return list(chosen.values())


def _named(catalog: Catalog, name: str) -> list[tuple[ImageId, Reference | None]]:
    asked = parse_any(name)
    if not isinstance(asked, Reference) or (asked.domain, asked.path) == (DEFAULT_DOMAIN, "library/sha256"):
        return [(catalog.find(name), None)]
    if asked.is_name_only:
        tagged = [(image, reference) for reference, image in catalog.references() if reference.name == asked.name]
        return [(image, reference) for image, reference in tagged if reference.tag] or [(_found(catalog, name), None)]
    image = catalog.by_reference(asked)
    if image is None:
        raise NotFound("reference does not exist")
    return [(image, asked if asked.digest is None else None)]


def _found(catalog: Catalog, name: str) -> ImageId:
    """As `Catalog.find`; the name is told without a tag, as Docker does it here alone."""
    try:
        return catalog.find(name)
    except NoSuchImage as error:
        raise NoSuchImage(name) from error


def save(catalog: Catalog, chosen: Sequence[Chosen]) -> Iterator[bytes]:
    """The archive, in pieces. What it needs is kept from removal from now until the iterator ends or is dropped.

    Raises NoSuchImage for what was removed since it was chosen.
    """
    pieces = _save(catalog, chosen)
    next(pieces)  # as far as the lease: a client may ask for the first piece much later
    return pieces


def _save(catalog: Catalog, chosen: Sequence[Chosen]) -> Iterator[bytes]:
    with catalog.lease() as lease:
        parts = Parts()
        for entry in chosen:
            _describe(catalog, lease, entry, parts)
        yield b""
        yield from write_archive(catalog, parts)


def _describe(catalog: Catalog, lease: Lease, chosen: Chosen, parts: Parts) -> None:
    record = catalog.hold_image(lease, chosen.image)
    config = catalog.content.read(Digest(chosen.image), CONFIG_LIMIT)
    parts.small[chosen.image] = config
    kept = _kept(catalog, record)
    if kept is None:
        layers = plain_layers(catalog, chosen.image, record, parts.layers)
        data = msgspec.json.encode(ManifestDocument(Descriptor(OCI_CONFIG, chosen.image, len(config)), layers))
        media_type = OCI_MANIFEST
    else:
        data = catalog.content.read(Digest(kept.digest), MANIFEST_LIMIT)
        media_type = kept.media_type
        layers = [_as_it_is(catalog, Digest(blob), parts) for blob in kept.layers]
        if any(_is_zstd(catalog, Digest(blob)) for blob in kept.layers):
            layers = plain_layers(catalog, chosen.image, record, parts.layers)
    digest = digest_of(data)
    parts.small[digest] = data
    platform = _platform(catalog.config(chosen.image))
    _list(chosen, parts, Descriptor(media_type, digest, len(data), platform=platform), layers, sources=kept is None)


def _list(chosen: Chosen, parts: Parts, manifest: Descriptor, layers: list[Descriptor], *, sources: bool) -> None:
    """Enter the image into the index and into Docker's two lists."""
    for tag in chosen.tags:
        annotations = {CONTAINERD_NAME: str(tag), REF_NAME: tag.tag or ""}
        parts.index.append(msgspec.structs.replace(manifest, annotations=annotations))
        if layers:
            top = layers[-1].digest.removeprefix("sha256:")
            parts.repositories.setdefault(tag.familiar_name, {})[tag.tag or ""] = top
    if not chosen.tags:
        parts.index.append(manifest)
    parts.listed.append(
        _Listed(
            _place(chosen.image),
            [tag.familiar for tag in chosen.tags] or None,
            [_place(layer.digest) for layer in layers],
            {layer.digest: layer for layer in layers} if sources else None,
        )
    )


def _kept(catalog: Catalog, record: ImageRecord) -> ManifestRecord | None:
    """The latest manifest that the image came by, if all that it names is here."""
    for manifest in reversed(record.manifests):
        blobs = (manifest.digest, *manifest.layers)
        whole = manifest.media_type not in (OCI_INDEX, DOCKER_INDEX) and len(manifest.layers) == len(record.layers)
        if whole and all(catalog.content.has(Digest(blob)) for blob in blobs):
            return manifest
    return None


def plain_layers(
    catalog: Catalog, image: ImageId, record: ImageRecord, sources: dict[str, LayerSource]
) -> list[Descriptor]:
    """The image's layers as plain tars, put in `sources`. The caller holds the image."""
    layers = []
    for layer, chain in zip(record.layers, catalog.chains(image), strict=True):
        size = catalog.snapshots.layer(chain).tar_size
        sources[layer.diff_id] = LayerSource(Digest(layer.blob), size, layer.blob != layer.diff_id)
        layers.append(Descriptor(OCI_LAYER, layer.diff_id, size))
    return layers


def _as_it_is(catalog: Catalog, blob: Digest, parts: Parts) -> Descriptor:
    size = catalog.content.size(blob)
    parts.layers[blob] = LayerSource(blob, size, unpacked=False)
    return Descriptor(OCI_LAYER, blob, size)


def _is_zstd(catalog: Catalog, blob: Digest) -> bool:
    with catalog.content.open(blob) as stream:
        return stream.read(4) == b"\x28\xb5\x2f\xfd"


def _platform(config: Image) -> Platform:
    return Platform(config.architecture, config.os or "linux", variant=config.variant)


def _place(digest: str) -> str:
    return "blobs/sha256/" + digest.removeprefix("sha256:")


def write_archive(catalog: Catalog, parts: Parts) -> Iterator[bytes]:
    """The archive of `parts`; without Docker's lists where they are empty: an OCI layout."""
    for directory in (b"blobs/", b"blobs/sha256/"):
        yield header(tar.Entry(directory, tar.DIRECTORY, mode=0o755))
    for digest in sorted({*parts.small, *parts.layers}):
        name = _place(digest).encode()
        if digest in parts.small:
            yield from member(name, parts.small[digest])
        else:
            source = parts.layers[digest]
            yield header(tar.Entry(name, tar.FILE, source.size))
            yield from _layer(catalog, digest, source)
            yield padding(source.size)
    yield from member(b"index.json", msgspec.json.encode(IndexDocument(parts.index)))
    if parts.listed:
        yield from member(b"manifest.json", msgspec.json.encode(parts.listed))
    yield from member(b"oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
    if parts.repositories:
        yield from member(b"repositories", msgspec.json.encode(parts.repositories))
    yield END


def _layer(catalog: Catalog, digest: str, source: LayerSource) -> Iterator[bytes]:
    """The layer's bytes. Their digest is checked as they go out: a disk that lost bytes must not go unnoticed."""
    hashed = hashlib.sha256()
    left = source.size
    with catalog.content.open(source.blob) as blob:
        stream = decompressed(blob) if source.unpacked else blob
        while left and (chunk := stream.read(min(_CHUNK, left))):
            hashed.update(chunk)
            left -= len(chunk)
            yield chunk
    if left or f"sha256:{hashed.hexdigest()}" != digest:
        raise System(f"the stored layer {digest} is damaged")
