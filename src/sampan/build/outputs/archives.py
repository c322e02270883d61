"""A result as an archive that leaves: Docker's, as `save` writes it, or an OCI layout with annotations and attestations.

oci   index.json ─▶ manifest                                       of an image alone
      index.json ─▶ index ─┬▶ manifest            linux/amd64      where something is attested of it
                           └▶ attestation manifest, unknown/unknown, which refers to the manifest
"""

from collections.abc import Iterator, Sequence

import msgspec

from sampan.build.outputs.attestations import Statement, attestation_manifest, subjects
from sampan.build.outputs.wishes import Annotations
from sampan.errors import Forbidden
from sampan.images import host
from sampan.images.catalog import Catalog, ImageRecord
from sampan.images.leases import Lease
from sampan.images.packing import is_gzip, pack, packed_before
from sampan.images.platforms import shown
from sampan.images.references import Reference
from sampan.images.saving import (
    Chosen,
    IndexDocument,
    LayerSource,
    ManifestDocument,
    Parts,
    plain_layers,
    save,
    write_archive,
)
from sampan.images.steps import Cancellation
from sampan.spec.ids import Digest, ImageId, digest_of
from sampan.spec.oci_image import (
    CONFIG_LIMIT,
    CONTAINERD_NAME,
    OCI_CONFIG,
    OCI_INDEX,
    OCI_LAYER,
    OCI_MANIFEST,
    REF_NAME,
    Descriptor,
    Image,
    Platform,
)


def docker_archive(catalog: Catalog, image: ImageId, names: Sequence[Reference]) -> Iterator[bytes]:
    """What `docker load` takes. Held until the iterator ends or is dropped. Raises NoSuchImage, Forbidden."""
    _refuse_host(catalog, image)
    return save(catalog, [Chosen(image, list(names))])


def oci_archive(
    catalog: Catalog,
    image: ImageId,
    names: Sequence[Reference],
    annotations: Annotations,
    statements: Sequence[Statement] = (),
    *,
    packed: bool = False,
    end: Cancellation | None = None,
) -> Iterator[bytes]:
    """An OCI layout in pieces; layers as plain tars, or as gzip where `packed`. Raises NoSuchImage, Forbidden, OSError.

    The same image with the same words gives the same bytes.
    """
    _refuse_host(catalog, image)
    pieces = _oci_archive(catalog, image, names, annotations, statements, packed, end or Cancellation())
    next(pieces)  # as far as the lease, and the layers that have to be packed
    return pieces


def _oci_archive(
    catalog: Catalog,
    image: ImageId,
    names: Sequence[Reference],
    annotations: Annotations,
    statements: Sequence[Statement],
    packed: bool,
    end: Cancellation,
) -> Iterator[bytes]:
    with catalog.lease() as lease:
        record = catalog.hold_image(lease, image)
        parts = Parts()
        manifest = _manifest(catalog, lease, image, record, parts, annotations, packed, end)
        top = _with_statements(manifest, statements, names, annotations, parts) if statements else manifest
        named = [{CONTAINERD_NAME: str(name), REF_NAME: name.tag or ""} for name in names] or [{}]
        for told in named:
            entry = {**annotations.index_descriptor, **told} if statements else {**(manifest.annotations or {}), **told}
            parts.index.append(msgspec.structs.replace(top, annotations=entry or None))
        yield b""
        yield from write_archive(catalog, parts)


def _manifest(
    catalog: Catalog,
    lease: Lease,
    image: ImageId,
    record: ImageRecord,
    parts: Parts,
    annotations: Annotations,
    packed: bool,
    end: Cancellation,
) -> Descriptor:
    config = catalog.content.read(Digest(image), CONFIG_LIMIT)
    parts.small[image] = config
    layers = (
        _packed_layers(catalog, lease, record, parts, end) if packed else plain_layers(catalog, image, record, parts)
    )
    document = ManifestDocument(
        Descriptor(OCI_CONFIG, image, len(config)), layers, annotations=annotations.manifest or msgspec.UNSET
    )
    data = msgspec.json.encode(document)
    digest = digest_of(data)
    parts.small[digest] = data
    described = Descriptor(OCI_MANIFEST, digest, len(data), platform=_platform(catalog.config(image)))
    return msgspec.structs.replace(described, annotations=annotations.manifest_descriptor or None)


def _packed_layers(
    catalog: Catalog, lease: Lease, record: ImageRecord, parts: Parts, end: Cancellation
) -> list[Descriptor]:
    content = catalog.content
    found = []
    for layer in record.layers:
        blob = Digest(layer.blob)
        if not is_gzip(content, blob):
            before = packed_before(catalog, layer.diff_id)
            blob = before if before is not None and lease.keep_blob(before) else pack(content, layer, lease, end)
        size = content.size(blob)
        parts.layers[blob] = LayerSource(blob, size, unpacked=False)
        found.append(Descriptor(OCI_LAYER + "+gzip", blob, size))
    return found


def _with_statements(
    manifest: Descriptor,
    statements: Sequence[Statement],
    names: Sequence[Reference],
    annotations: Annotations,
    parts: Parts,
) -> Descriptor:
    platform = shown(manifest.platform) if manifest.platform is not None else ""
    described, blobs = attestation_manifest(manifest, statements, subjects(names, platform))
    parts.small.update(blobs)
    index = IndexDocument([manifest, described], annotations=annotations.index or msgspec.UNSET)
    data = msgspec.json.encode(index)
    parts.small[digest_of(data)] = data
    return Descriptor(OCI_INDEX, digest_of(data), len(data))


def _platform(config: Image) -> Platform:
    return Platform(config.architecture, config.os or "linux", variant=config.variant)


def _refuse_host(catalog: Catalog, image: ImageId) -> None:
    rootfs = catalog.config(image).rootfs
    if rootfs is not None and host.DIFF_ID in (rootfs.diff_ids or ()):
        raise Forbidden("it stands on the image host, which is this machine itself and cannot leave it")
