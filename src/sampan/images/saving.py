"""`save`: an archive as Docker 25 and later write it, an OCI layout with Docker's own lists beside; streamed.

Layers are written as plain tars, named by their diff ids, whatever they came as: so every engine reads them, and the same
image gives the same archive.
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
from sampan.images.catalog import Catalog, LayerRecord
from sampan.images.leases import Lease
from sampan.images.references import DEFAULT_DOMAIN, Reference, parse_any
from sampan.spec.ids import Digest, ImageId
from sampan.spec.oci_image import (
    CONFIG_LIMIT,
    CONTAINERD_NAME,
    OCI_CONFIG,
    OCI_INDEX,
    OCI_LAYER,
    OCI_MANIFEST,
    REF_NAME,
    Descriptor,
)

_CHUNK = 1 << 20


class _ManifestDocument(msgspec.Struct, frozen=True, rename="camel"):
    config: Descriptor
    layers: list[Descriptor]
    media_type: str = OCI_MANIFEST
    schema_version: int = 2


class _IndexDocument(msgspec.Struct, frozen=True, rename="camel"):
    manifests: list[Descriptor]
    media_type: str = OCI_INDEX
    schema_version: int = 2


class _Listed(msgspec.Struct, frozen=True, rename="pascal"):
    config: str
    repo_tags: list[str] | None
    layers: list[str]
    layer_sources: dict[str, Descriptor]


@dataclass(slots=True)
class _Chosen:
    image: ImageId
    tags: list[Reference] = field(default_factory=list)


@dataclass(slots=True)
class _Parts:
    """What the archive will hold, by digest: small documents as bytes, layers to be read."""

    small: dict[str, bytes] = field(default_factory=dict)
    layers: dict[str, tuple[LayerRecord, int]] = field(default_factory=dict)
    index: list[Descriptor] = field(default_factory=list)
    listed: list[_Listed] = field(default_factory=list)
    repositories: dict[str, dict[str, str]] = field(default_factory=dict)


def choose_images(catalog: Catalog, names: Sequence[str]) -> list[_Chosen]:
    """What `names` ask for: an id without its tags, a repository with all of them, a tag.

    Raises NoSuchImage, NotFound, InvalidParameter; Forbidden for the image host and what stands on it.
    """
    chosen: dict[ImageId, _Chosen] = {}
    for name in names:
        for image, tag in _named(catalog, name):
            rootfs = catalog.config(image).rootfs
            if rootfs is not None and host.DIFF_ID in (rootfs.diff_ids or ()):
                raise Forbidden(f"{name} stands on the image host, which is this machine itself and cannot leave it")
            entry = chosen.setdefault(image, _Chosen(image))
            if tag is not None and tag not in entry.tags:
                entry.tags.append(tag)
    return list(chosen.values())


def _named(catalog: Catalog, name: str) -> list[tuple[ImageId, Reference | None]]:
    asked = parse_any(name)
    if not isinstance(asked, Reference) or (asked.domain, asked.path) == (DEFAULT_DOMAIN, "library/sha256"):
        return [(catalog.find(name), None)]
    if asked.is_name_only:
        tagged = [(image, reference) for reference, image in catalog.references() if reference.name == asked.name]
        return [(image, reference) for image, reference in tagged if reference.tag] or [(catalog.find(name), None)]
    image = catalog.by_reference(asked)
    if image is None:
        raise NotFound("reference does not exist")
    return [(image, asked if asked.digest is None else None)]


def save(catalog: Catalog, chosen: Sequence[_Chosen]) -> Iterator[bytes]:
    """The archive, in pieces. What it needs is kept from removal from now until the iterator ends or is dropped.

    Raises NoSuchImage for what was removed since it was chosen.
    """
    pieces = _save(catalog, chosen)
    next(pieces)  # as far as the lease: a client may ask for the first piece much later
    return pieces


def _save(catalog: Catalog, chosen: Sequence[_Chosen]) -> Iterator[bytes]:
    with catalog.lease() as lease:
        parts = _Parts()
        for entry in chosen:
            _describe(catalog, lease, entry, parts)
        yield b""
        yield from _write(catalog, parts)


def _describe(catalog: Catalog, lease: Lease, chosen: _Chosen, parts: _Parts) -> None:
    record = catalog.hold_image(lease, chosen.image)
    config = catalog.content.read(Digest(chosen.image), CONFIG_LIMIT)
    layers = []
    for layer, chain in zip(record.layers, catalog.chains(chosen.image), strict=True):
        size = catalog.snapshots.layer(chain).tar_size
        layers.append(Descriptor(OCI_LAYER, layer.diff_id, size))
        parts.layers[layer.diff_id] = (layer, size)
    parts.small[chosen.image] = config
    manifest = msgspec.json.encode(_ManifestDocument(Descriptor(OCI_CONFIG, chosen.image, len(config)), layers))
    digest = "sha256:" + hashlib.sha256(manifest).hexdigest()
    parts.small[digest] = manifest
    described = Descriptor(OCI_MANIFEST, digest, len(manifest))
    for tag in chosen.tags:
        annotations = {CONTAINERD_NAME: str(tag), REF_NAME: tag.tag or ""}
        parts.index.append(msgspec.structs.replace(described, annotations=annotations))
        if layers:
            top = layers[-1].digest.removeprefix("sha256:")
            parts.repositories.setdefault(tag.familiar_name, {})[tag.tag or ""] = top
    if not chosen.tags:
        parts.index.append(described)
    parts.listed.append(
        _Listed(
            _place(chosen.image),
            [tag.familiar for tag in chosen.tags] or None,
            [_place(layer.digest) for layer in layers],
            {layer.digest: layer for layer in layers},
        )
    )


def _place(digest: str) -> str:
    return "blobs/sha256/" + digest.removeprefix("sha256:")


def _write(catalog: Catalog, parts: _Parts) -> Iterator[bytes]:
    for directory in (b"blobs/", b"blobs/sha256/"):
        yield header(tar.Entry(directory, tar.DIRECTORY, mode=0o755))
    for digest in sorted({*parts.small, *parts.layers}):
        name = _place(digest).encode()
        if digest in parts.small:
            yield from member(name, parts.small[digest])
        else:
            layer, size = parts.layers[digest]
            yield header(tar.Entry(name, tar.FILE, size))
            yield from _layer(catalog, layer, size)
            yield padding(size)
    yield from member(b"index.json", msgspec.json.encode(_IndexDocument(parts.index)))
    yield from member(b"manifest.json", msgspec.json.encode(parts.listed))
    yield from member(b"oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
    if parts.repositories:
        yield from member(b"repositories", msgspec.json.encode(parts.repositories))
    yield END


def _layer(catalog: Catalog, layer: LayerRecord, size: int) -> Iterator[bytes]:
    """The layer's tar. Its digest is checked as it goes out: a disk that lost bytes must not go unnoticed."""
    hashed = hashlib.sha256()
    left = size
    with catalog.content.open(Digest(layer.blob)) as blob:
        source = blob if layer.blob == layer.diff_id else decompressed(blob)
        while left and (chunk := source.read(min(_CHUNK, left))):
            hashed.update(chunk)
            left -= len(chunk)
            yield chunk
    if left or f"sha256:{hashed.hexdigest()}" != layer.diff_id:
        raise System(f"the stored layer {layer.diff_id} is damaged")
