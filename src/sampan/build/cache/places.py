"""Where caches of other machines lie: a repository of a registry, or an OCI layout in a directory of this host.

manifest ─▶ a cache's configuration ─▶ records and layers        `application/vnd.buildkit.cacheconfig.v0`
         └▶ an image's configuration ─▶ its inline cache          `moby.buildkit.cache.v0`
index    ─▶ entries with a cache's configuration among them (BuildKit's older form), or an index of images
"""

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, cast

import msgspec

from sampan.build.cache.configs import CONFIG, CONFIG_LIMIT, Found, read, read_inline
from sampan.errors import InvalidParameter, NotFound
from sampan.files.root import SafeRoot
from sampan.images.platforms import choose
from sampan.registry.limits import UNKNOWN
from sampan.registry.protocol import Source
from sampan.spec.ids import Digest, digest_of, parse_digest
from sampan.spec.oci_image import (
    DOCKER_INDEX,
    MANIFEST_LIMIT,
    OCI_INDEX,
    REF_NAME,
    Descriptor,
    decode,
    decode_image,
    decode_index,
    decode_manifest,
)

_FILE = os.O_RDONLY | os.O_NONBLOCK
_DEPTH = 3


class _Shape(msgspec.Struct, frozen=True, rename={"media_type": "mediaType"}):
    media_type: str = ""
    manifests: list[msgspec.Raw] | None = None


def find(source: Source, first: Descriptor) -> Found:
    """What the manifest or index `first` says is kept there. Raises InvalidParameter, NotFound and what the source raises."""
    described = first
    for _ in range(_DEPTH):
        data = source.manifest(described)
        shape = decode(data, _Shape, "the cache's manifest")
        if shape.manifests is None and shape.media_type not in (OCI_INDEX, DOCKER_INDEX):
            return _of_manifest(source, data)
        entries = decode_index(data).manifests or []
        config = next((entry for entry in entries if entry.media_type == CONFIG), None)
        if config is not None:
            layers = {entry.digest: entry for entry in entries if entry is not config}
            return read(_blob(source, config), layers)
        chosen = choose(entries)
        if chosen is None:
            raise NotFound("it has no image for this machine, and is no build cache")
        described = msgspec.structs.replace(chosen, digest=parse_digest(chosen.digest))
    raise InvalidParameter("its indexes are nested too deeply")


def _of_manifest(source: Source, data: bytes) -> Found:
    manifest = decode_manifest(data)
    assert manifest.config is not None
    layers = manifest.layers or []
    config = _blob(source, manifest.config)
    if manifest.config.media_type == CONFIG:
        return read(config, {layer.digest: layer for layer in layers})
    image = decode_image(config)
    if not image.build_cache:
        return {}
    return read_inline(image.build_cache, layers, (image.rootfs.diff_ids if image.rootfs else None) or ())


def _blob(source: Source, described: Descriptor) -> bytes:
    """A small blob, verified."""
    if described.size > CONFIG_LIMIT:
        raise InvalidParameter(f"its configuration is larger than {CONFIG_LIMIT} bytes")
    checked = msgspec.structs.replace(described, digest=parse_digest(described.digest))
    with source.blob(checked) as stream:
        data = stream.read(CONFIG_LIMIT + 1)
    if digest_of(data) != described.digest:
        raise InvalidParameter(f"its configuration is not what its digest {described.digest} says")
    return data


class Layout:
    """An OCI layout in a directory, read as a repository is: implements `Source`. Nothing outside of the directory is read."""

    domain = "local"
    rate_limit = UNKNOWN

    def __init__(self, path: str) -> None:
        """`path` is absolute. Raises NotFound, InvalidParameter."""
        if not os.path.isabs(path):
            raise InvalidParameter(f"the cache's directory {path!r} is not absolute")
        self.path = path
        try:
            self._root = SafeRoot(path)
        except OSError as error:
            raise NotFound(f"{path}: {error.strerror}") from error

    def close(self) -> None:
        """Let go of the directory."""
        self._root.close()

    def resolve(self, reference: str) -> Descriptor:
        """The manifest of a tag, or of a digest. Raises NotFound."""
        index = decode_index(self._read("index.json", MANIFEST_LIMIT))
        for entry in index.manifests or []:
            if reference in (entry.digest, (entry.annotations or {}).get(REF_NAME)):
                return msgspec.structs.replace(entry, digest=parse_digest(entry.digest))
        raise NotFound(f"{self.path}: index.json names no {reference}")

    def manifest(self, descriptor: Descriptor) -> bytes:
        """See `Source`."""
        data = self._read(_name(descriptor.digest), MANIFEST_LIMIT)
        if digest_of(data) != descriptor.digest:
            raise InvalidParameter(f"manifest verification failed for digest {descriptor.digest}")
        return data

    @contextmanager
    def blob(self, descriptor: Descriptor, offset: int = 0) -> Iterator[io.BufferedIOBase]:
        """See `Source`."""
        with self._open(_name(descriptor.digest)) as stream:
            stream.seek(offset)
            yield cast(io.BufferedIOBase, stream)

    def tags(self) -> Iterator[str]:
        """See `Source`."""
        for entry in decode_index(self._read("index.json", MANIFEST_LIMIT)).manifests or []:
            yield (entry.annotations or {}).get(REF_NAME, "")

    def has_blob(self, digest: Digest) -> bool:
        """See `Source`."""
        try:
            os.close(self._root.open(_name(digest)))
        except OSError:
            return False
        return True

    def referrers(self, digest: Digest, artifact_type: str = "") -> Iterator[Descriptor]:  # noqa: ARG002 - the protocol's
        """Nothing refers to anything here."""
        return iter(())

    def _read(self, name: str, limit: int) -> bytes:
        with self._open(name) as stream:
            data = stream.read(limit + 1)
        if len(data) > limit:
            raise InvalidParameter(f"{self.path}/{name} is larger than {limit} bytes")
        return data

    def _open(self, name: str) -> BinaryIO:
        try:
            return open(self._root.open(name, _FILE), "rb")
        except OSError as error:
            raise NotFound(f"{self.path}/{name}: {error.strerror}") from error


def _name(digest: str) -> str:
    return "blobs/sha256/" + parse_digest(digest).removeprefix("sha256:")
