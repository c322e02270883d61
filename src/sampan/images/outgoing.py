"""What a push sends: the manifest of one image, or an index with all that it leads to. Nothing is sent here.

record.manifests ─▶ the latest is an index, and all of it is here ─▶ OutgoingIndex
               └──▶ else the latest that this repository knows ────▶ Outgoing
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sampan.content.store import Content
from sampan.images.catalog import ManifestRecord
from sampan.spec.ids import Digest, digest_of
from sampan.spec.oci_image import (
    DOCKER_INDEX,
    MANIFEST_LIMIT,
    OCI_INDEX,
    Descriptor,
    decode_index,
    decode_manifest,
)

_INDEXES = (OCI_INDEX, DOCKER_INDEX)


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A manifest's bytes, and the blobs in its order."""

    media_type: str
    data: bytes
    config: Descriptor
    layers: tuple[Descriptor, ...]

    @property
    def digest(self) -> Digest:
        """The manifest's."""
        return digest_of(self.data)


@dataclass(frozen=True, slots=True)
class OutgoingIndex:
    """An index's bytes, and the manifests that it names, in its order."""

    media_type: str
    data: bytes
    manifests: tuple[Outgoing, ...]
    record: ManifestRecord

    @property
    def digest(self) -> Digest:
        """The index's."""
        return digest_of(self.data)


def outgoing_index(content: Content, known: Sequence[ManifestRecord]) -> OutgoingIndex | None:
    """The index that is the latest of an image's manifests, if all that it leads to is here. Raises InvalidParameter, OSError."""
    latest = known[-1] if known else None
    if latest is None or latest.media_type not in _INDEXES or not latest.holds:
        return None
    if not all(content.has(Digest(blob)) for blob in latest.blobs()):
        return None
    data = content.read(Digest(latest.digest), MANIFEST_LIMIT)
    entries = decode_index(data, latest.media_type).manifests or []
    manifests = tuple(_read(content, Digest(entry.digest), entry.media_type) for entry in entries)
    return OutgoingIndex(latest.media_type, data, manifests, latest)


def outgoing(content: Content, known: Sequence[ManifestRecord], layers: int, repository: str) -> Outgoing | None:
    """The manifest that the repository knows, else the latest, of those for so many layers whose blobs are all here."""
    whole = [manifest for manifest in known if _is_whole(content, manifest, layers)]
    if not whole:
        return None
    here = [manifest for manifest in whole if repository in manifest.repositories]
    chosen = (here or whole)[-1]
    return _read(content, Digest(chosen.digest), chosen.media_type)


def _is_whole(content: Content, manifest: ManifestRecord, layers: int) -> bool:
    if manifest.media_type in _INDEXES or len(manifest.layers) != layers:
        return False
    return all(content.has(Digest(blob)) for blob in (manifest.digest, *manifest.layers))


def _read(content: Content, digest: Digest, media_type: str) -> Outgoing:
    data = content.read(digest, MANIFEST_LIMIT)
    manifest = decode_manifest(data, media_type)
    assert manifest.config is not None
    return Outgoing(media_type, data, manifest.config, tuple(manifest.layers or ()))
