"""Images of one index: the same program for several platforms, of which the name means one.

pulled for a build        an image of its own, found by the index that both came by
of an index made here     lies as content; `StoredIndex` is read as a repository is, and its image unpacked when it is wanted
"""

from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedIOBase
from typing import cast

from sampan.content.store import Content
from sampan.errors import NotFound, SampanError
from sampan.images.catalog import Catalog, ManifestRecord
from sampan.images.platforms import choose, fits, platform_of
from sampan.registry.limits import UNKNOWN
from sampan.spec.ids import Digest, ImageId, parse_digest
from sampan.spec.oci_image import DOCKER_INDEX, MANIFEST_LIMIT, OCI_INDEX, Descriptor, Platform, decode_index


def sibling(catalog: Catalog, image: ImageId, wanted: Platform) -> ImageId | None:
    """The image for that platform among `image` and those that came by the same index; None where there is none.

    Raises NoSuchImage, BrokenImage.
    """
    if fits(platform_of(catalog.config(image)), wanted):
        return image
    with catalog.lock:
        known = {one.digest for one in _indexes(catalog, image)}
        others = [
            one
            for one in catalog.images()
            if one != image and any(index.digest in known for index in _indexes(catalog, one))
        ]
    for one in reversed(others):
        try:
            if fits(platform_of(catalog.config(one)), wanted):
                return one
        except SampanError:
            continue  # damaged: it is brought again
    return None


def _indexes(catalog: Catalog, image: ImageId) -> list[ManifestRecord]:
    return [one for one in catalog.record(image).manifests if one.media_type in (OCI_INDEX, DOCKER_INDEX)]


class StoredIndex:
    """An index that was made here, as a repository: implements `registry.protocol.Source`. Any thread may call."""

    domain = "local"
    rate_limit = UNKNOWN

    def __init__(self, content: Content, record: ManifestRecord, path: str) -> None:
        """`path`: what messages call it."""
        self._content = content
        self._record = record
        self.path = path

    @property
    def digest(self) -> Digest:
        """The index's."""
        return parse_digest(self._record.digest)

    def resolve(self, reference: str) -> Descriptor:
        """See `Source`."""
        if reference != self._record.digest:
            raise NotFound(f"{self.path} has no {reference}")
        return Descriptor(self._record.media_type, self.digest, self._content.size(self.digest))

    def manifest(self, descriptor: Descriptor) -> bytes:
        """See `Source`."""
        return self._content.read(parse_digest(descriptor.digest), MANIFEST_LIMIT)

    def tags(self) -> Iterator[str]:
        """See `Source`."""
        return iter(())

    @contextmanager
    def blob(self, descriptor: Descriptor, offset: int = 0) -> Iterator[BufferedIOBase]:
        """See `Source`."""
        with self._content.open(parse_digest(descriptor.digest)) as stream:
            stream.seek(offset)
            yield cast(BufferedIOBase, stream)

    def has_blob(self, digest: Digest) -> bool:
        """See `Source`."""
        return self._content.has(digest)

    def referrers(self, digest: Digest, artifact_type: str = "") -> Iterator[Descriptor]:  # noqa: ARG002 - the protocol's
        """Nothing refers to anything here."""
        return iter(())


def stored_index(catalog: Catalog, image: ImageId, wanted: Platform) -> StoredIndex | None:
    """The latest index of the image that was made here and leads to one for that platform; None where there is none.

    Raises NoSuchImage, InvalidParameter, OSError.
    """
    for record in reversed(_indexes(catalog, image)):
        if record.holds and all(catalog.content.has(Digest(blob)) for blob in record.blobs()):
            data = catalog.content.read(Digest(record.digest), MANIFEST_LIMIT)
            if choose(decode_index(data, record.media_type).manifests or [], wanted) is not None:
                return StoredIndex(catalog.content, record, image)
    return None
