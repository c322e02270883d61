"""`docker plugin create`: a plugin from a tar of `config.json` and `rootfs/`, as if it had been pulled.

tar ─▶ rootfs/… renamed, packed as one layer ─▶ content ─▶ unpacked ─▶ configuration that names it ─▶ manifest
"""

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

import msgspec

from sampan.content.store import Content
from sampan.errors import InvalidParameter, System
from sampan.files.compression import decompressed
from sampan.files.paths import clean
from sampan.files.tar_reader import FILE, HARD_LINK, SYMLINK, Entry, TarReader
from sampan.files.tar_writer import END, header, padding
from sampan.images.packing import Packing
from sampan.images.steps import Cancellation
from sampan.managed import configuration
from sampan.managed.shelf import ROOTFS_LIMIT, Shelf
from sampan.managed.travel import Brought, manifest_of
from sampan.spec.document import encode
from sampan.spec.ids import Digest
from sampan.spec.oci_image import DOCKER_MANIFEST
from sampan.spec.plugins import PluginConfig, PluginRootFs

_CHUNK = 1 << 18
_CONFIG, _ROOTFS = b"config.json", b"rootfs"


class _Parts:
    """An archive's root as a tar of its own, in pieces; `config` is there once it has been read to the end."""

    def __init__(self, archive: BinaryIO) -> None:
        self._reader = TarReader(archive.read)
        self.config: bytes | None = None
        self._pieces = self._made()

    def read(self, _: int = -1) -> bytes:
        """The next piece of that tar; b"" at its end."""
        # A padding may be empty, which would read as the end.
        return next((piece for piece in self._pieces if piece), b"")

    def _made(self) -> Iterator[bytes]:
        has_root = False
        for entry in self._reader:
            name = clean(entry.name)
            if name == _CONFIG:
                self.config = self._config(entry)
                continue
            first, _, rest = name.partition(b"/")
            if first != _ROOTFS:
                continue
            has_root = True
            yield from self._renamed(entry, rest)
        if not has_root:
            raise InvalidParameter("no rootfs found: EOF")
        yield END

    def _config(self, entry: Entry) -> bytes:
        if entry.kind != FILE or entry.size > configuration.LIMIT:
            raise InvalidParameter("config.json in the archive is no file, or too large")
        return b"".join(iter(lambda: self._reader.read(_CHUNK), b""))

    def _renamed(self, entry: Entry, name: bytes) -> Iterator[bytes]:
        if entry.regions is not None:
            raise InvalidParameter(f"the archive holds {entry.name!r} as a sparse file: use tar without --sparse")
        entry.name = name or b"."
        if entry.kind == HARD_LINK:
            linked = clean(entry.link)
            if not linked.startswith(_ROOTFS + b"/"):
                raise InvalidParameter(f"the archive's hard link {name!r} leads out of rootfs")
            entry.link = linked.removeprefix(_ROOTFS + b"/")
        if entry.kind in (HARD_LINK, SYMLINK):
            entry.size = 0
        yield header(entry)
        size = 0
        while piece := self._reader.read(_CHUNK):
            size += len(piece)
            yield piece
        yield padding(size)


def make(shelf: Shelf, archive: BinaryIO, end: Cancellation) -> Brought:
    """The plugin in `archive`, a tar, compressed or not. Raises InvalidParameter, System, OSError; then no root is left."""
    parts = _Parts(decompressed(archive))
    layer, size = shelf.content.ingest(Packing(cast("BinaryIO", parts), end).read, ROOTFS_LIMIT)
    if parts.config is None:
        raise System("config not found")
    config = configuration.read(parts.config)
    root = shelf.fresh()
    try:
        diff_id = shelf.fill(root, layer)
        config = msgspec.structs.replace(config, rootfs=PluginRootFs(type="layers", diff_ids=(diff_id,)))
        return _described(shelf.content, config, layer, size, root)
    except BaseException:
        shelf.drop(root)
        raise


def _described(content: Content, config: PluginConfig, layer: Digest, size: int, root: Path) -> Brought:
    data = encode(config)
    named = content.put(data)
    manifest = content.put(manifest_of(len(data), named, [(layer, size)]))
    return Brought(config, named, manifest, DOCKER_MANIFEST, (layer,), root)
