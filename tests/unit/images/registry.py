"""A registry in memory, as `registry.protocol` has it; it can be told to misbehave."""

import hashlib
import io
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import BinaryIO

from sampan.errors import NotFound
from sampan.registry.faults import Unreachable
from sampan.registry.limits import UNKNOWN, RateLimit
from sampan.registry.protocol import Credentials, Found, Repository
from sampan.spec.ids import Digest
from sampan.spec.oci_image import OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST, Descriptor


def digest_of(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def described(media_type: str, data: bytes, **more: object) -> dict[str, object]:
    return {"mediaType": media_type, "digest": digest_of(data), "size": len(data), **more}


@dataclass
class Broken:
    """A stream that ends early, waits, or is another."""

    cut: int | None = None
    times: int = 0
    swap: bytes | None = None
    hold: threading.Event | None = None


@dataclass
class MemoryRepository:
    """One repository."""

    domain: str
    path: str
    registry: "MemoryRegistry"
    manifests: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    """by tag and by digest"""
    blobs: dict[str, bytes] = field(default_factory=dict)
    rate_limit: RateLimit = UNKNOWN

    def add_image(self, tag: str, config: dict[str, object], *layers: tuple[str, bytes], **more: object) -> str:
        """An image of packed layers with their media types; the manifest's digest."""
        written = json.dumps(config).encode()
        self.blobs[digest_of(written)] = written
        for _, data in layers:
            self.blobs[digest_of(data)] = data
        document = {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": described(OCI_CONFIG, written),
            "layers": [described(media_type, data) for media_type, data in layers],
            **more,
        }
        return self.add_manifest(tag, OCI_MANIFEST, json.dumps(document).encode())

    def add_index(self, tag: str, *entries: tuple[str, str]) -> str:
        """An index of (platform, digest)."""
        manifests = []
        for platform, digest in entries:
            os, architecture, *variant = platform.split("/")
            named = {"os": os, "architecture": architecture, "variant": "".join(variant)}
            media_type, data = self.manifests[digest]
            manifests.append({**described(media_type, data), "digest": digest, "platform": named})
        index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests}
        return self.add_manifest(tag, OCI_INDEX, json.dumps(index).encode())

    def add_manifest(self, tag: str, media_type: str, data: bytes) -> str:
        digest = digest_of(data)
        self.manifests[digest] = (media_type, data)
        if tag:
            self.manifests[tag] = (media_type, data)
        return digest

    def resolve(self, reference: str) -> Descriptor:
        if reference not in self.manifests:
            raise NotFound(f"manifest for {self.path}:{reference} not found: manifest unknown: manifest unknown")
        media_type, data = self.manifests[reference]
        return Descriptor(media_type, digest_of(data), len(data))

    def manifest(self, descriptor: Descriptor) -> bytes:
        if descriptor.digest not in self.manifests:
            raise NotFound("manifest unknown: manifest unknown")
        return self.manifests[descriptor.digest][1]

    def tags(self) -> Iterator[str]:
        return iter([tag for tag in self.manifests if ":" not in tag])

    @contextmanager
    def blob(self, descriptor: Descriptor, offset: int = 0) -> Iterator[io.BufferedIOBase]:
        self.registry.asked.append((descriptor.digest, offset))
        broken = self.registry.broken.get(descriptor.digest, Broken())
        data = broken.swap if broken.swap is not None else self.blobs.get(descriptor.digest)
        if data is None:
            raise NotFound("blob unknown: blob unknown to registry")
        cut = broken.cut if broken.times > 0 else None
        broken.times -= 1
        yield _Stream(data[offset : descriptor.size], cut, broken.hold)

    def has_blob(self, digest: Digest) -> bool:
        return digest in self.blobs

    def mount(self, digest: Digest, source: str) -> bool:
        other = self.registry.repositories.get((self.domain, source))
        self.registry.mounts.append((digest, source))
        if other is None or digest not in other.blobs:
            return False
        self.blobs[digest] = other.blobs[digest]
        return True

    def upload(
        self, digest: Digest, size: int, reader: Callable[[int], BinaryIO], progress: Callable[[int], None]
    ) -> None:
        broken = self.registry.broken.get(digest, Broken())
        broken.times -= 1
        if broken.times >= 0:
            raise Unreachable("write: broken pipe", late=True)
        with reader(0) as source:
            data = source.read()
        assert (len(data), digest_of(data)) == (size, digest)
        progress(size)
        self.blobs[digest] = data
        self.registry.uploads.append(digest)

    def put_manifest(self, reference: str, media_type: str, data: bytes) -> Digest:
        document = json.loads(data)
        for part in (document["config"], *document["layers"]):
            assert part["digest"] in self.blobs, "a registry takes no manifest whose blobs it lacks"
        self.add_manifest(reference, media_type, data)
        return Digest(digest_of(data))

    def referrers(self, digest: Digest, artifact_type: str = "") -> Iterator[Descriptor]:
        return iter(())


class _Stream(io.BufferedIOBase):
    """Bytes that may end too early, or wait in the middle."""

    def __init__(self, data: bytes, cut: int | None, hold: threading.Event | None) -> None:
        self._data = data if cut is None else data[:cut]
        self._cut = cut is not None
        self._hold = hold
        self._at = 0

    def read(self, size: int | None = -1, /) -> bytes:
        parts = []
        while chunk := self.read1():
            parts.append(chunk)
        return b"".join(parts)

    def read1(self, size: int = -1, /) -> bytes:
        if self._hold is not None and self._at > 0:
            assert self._hold.wait(20)
        chunk = self._data[self._at : self._at + 1000]
        self._at += len(chunk)
        if not chunk and self._cut:
            raise Unreachable("unexpected EOF", late=True)
        return chunk


@dataclass
class MemoryRegistry:
    """Implements `protocol.Registries`."""

    repositories: dict[tuple[str, str], MemoryRepository] = field(default_factory=dict)
    broken: dict[str, Broken] = field(default_factory=dict)
    asked: list[tuple[str, int]] = field(default_factory=list)
    uploads: list[str] = field(default_factory=list)
    mounts: list[tuple[str, str]] = field(default_factory=list)

    def repository(self, path: str, domain: str = "here:1") -> MemoryRepository:
        return self.repositories.setdefault((domain, path), MemoryRepository(domain, path, self))

    def pulling(self, domain: str, path: str, credentials: Credentials) -> Repository:
        return self.repository(path, domain)

    def pushing(self, domain: str, path: str, credentials: Credentials) -> Repository:
        return self.repository(path, domain)

    def login(self, address: str, credentials: Credentials) -> str:
        raise NotFound(address)

    def search(self, term: str, limit: int, credentials: Credentials) -> list[Found]:
        raise NotFound(term)


GZIP = OCI_LAYER + "+gzip"
ZSTD = OCI_LAYER + "+zstd"
