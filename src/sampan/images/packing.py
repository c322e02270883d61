"""Layers as they travel: a tar that lies here uncompressed is packed once, the same bytes each time, and kept for the next."""

import io
from typing import BinaryIO

from sampan.content.store import Content
from sampan.files.compression import decompressed
from sampan.images.catalog import Catalog, ImageRecord, LayerRecord
from sampan.images.leases import Lease
from sampan.images.steps import Cancellation
from sampan.spec.ids import Digest

_CHUNK = 1 << 18
_LEVEL = 2
_LIMIT = 256 << 30
_GZIP, _ZSTD = b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd"


def is_gzip(content: Content, blob: Digest) -> bool:
    """Whether the blob is gzip's."""
    return _begins(content, blob, _GZIP)


def is_zstd(content: Content, blob: Digest) -> bool:
    """Whether the blob is zstd's."""
    return _begins(content, blob, _ZSTD)


def _begins(content: Content, blob: Digest, magic: bytes) -> bool:
    with content.open(blob) as stream:
        return stream.read(len(magic)) == magic


def packed_before(catalog: Catalog, diff_id: str) -> Digest | None:
    """A gzip of that layer that an earlier push or pull left in the store."""
    with catalog.lock:
        records = [catalog.record(image) for image in catalog.images()]
    for record in records:
        for blob in _packed(record, diff_id):
            if catalog.content.has(blob) and is_gzip(catalog.content, blob):
                return blob
    return None


def _packed(record: ImageRecord, diff_id: str) -> list[Digest]:
    places = [number for number, layer in enumerate(record.layers) if layer.diff_id == diff_id]
    found = [Digest(record.layers[number].blob) for number in places]
    for manifest in record.manifests:
        if len(manifest.layers) == len(record.layers):
            found += [Digest(manifest.layers[number]) for number in places]
    return found


def pack(content: Content, layer: LayerRecord, lease: Lease, end: Cancellation) -> Digest:
    """The layer's tar as gzip, in the store and held by the lease. Raises NotFound, OSError, Cancelled."""
    with content.open(Digest(layer.blob)) as blob:
        return content.ingest(Packing(decompressed(blob), end).read, _LIMIT, claim=lease.take)[0]


class Packing:
    """A stream's bytes as gzip, without a name or a time in its head."""

    def __init__(self, source: BinaryIO, end: Cancellation) -> None:
        # Here and not above: a daemon that packs nothing does without the library.
        from isal import isal_zlib

        self._source = source
        self._end = end
        self._packer = isal_zlib.compressobj(_LEVEL, wbits=31)
        self._over = False

    def read(self, _: int) -> bytes:
        """The next piece; b"" at the end."""
        parts = io.BytesIO()
        while not self._over and not parts.tell():
            self._end.check()
            chunk = self._source.read(_CHUNK)
            if chunk:
                parts.write(self._packer.compress(chunk))
            else:
                self._over = True
                parts.write(self._packer.flush())
        return parts.getvalue()
