"""OCI image layouts in a tar, as skopeo, buildah and buildkit write them."""

import gzip
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence

import zstandard

from tests.archives import Layer

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"


def packed_gzip(data: bytes) -> bytes:
    return gzip.compress(data, mtime=0)


def packed_zstd(data: bytes) -> bytes:
    return zstandard.compress(data)


def digest_of(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


class OciArchive:
    """A layout under construction; `tar()` gives its bytes."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        self.entries: list[dict[str, object]] = []
        self.documents: dict[str, bytes] = {}

    def blob(self, data: bytes, media_type: str, **more: object) -> dict[str, object]:
        """Put in a blob; its descriptor."""
        digest = digest_of(data)
        self.blobs[digest] = data
        return {"mediaType": media_type, "digest": digest, "size": len(data), **more}

    def image(
        self,
        layers: Sequence[bytes],
        pack: Callable[[bytes], bytes] = packed_gzip,
        architecture: str = "amd64",
        config: Mapping[str, object] | None = None,
    ) -> dict[str, object]:
        """The descriptor of a manifest, with its platform."""
        diff_ids = [digest_of(layer) for layer in layers]
        document = {
            "architecture": architecture,
            "os": "linux",
            "config": dict(config or {"Cmd": ["sh"]}),
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
        }
        suffix = "+gzip" if pack is packed_gzip else "+zstd" if pack is packed_zstd else ""
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": self.blob(json.dumps(document).encode(), CONFIG),
            "layers": [self.blob(pack(layer), LAYER + suffix) for layer in layers],
        }
        platform = {"os": "linux", "architecture": architecture}
        return self.blob(json.dumps(manifest).encode(), MANIFEST, platform=platform)

    def attestation(self, about: Mapping[str, object]) -> dict[str, object]:
        """What buildkit adds for an image: a manifest whose layer is no layer."""
        statement = self.blob(b'{"_type":"https://in-toto.io/Statement/v0.1"}', "application/vnd.in-toto+json")
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": self.blob(json.dumps({"architecture": "unknown", "os": "unknown"}).encode(), CONFIG),
            "layers": [statement],
        }
        annotations = {
            "vnd.docker.reference.type": "attestation-manifest",
            "vnd.docker.reference.digest": about["digest"],
        }
        platform = {"os": "unknown", "architecture": "unknown"}
        return self.blob(json.dumps(manifest).encode(), MANIFEST, platform=platform, annotations=annotations)

    def index(self, entries: Sequence[Mapping[str, object]]) -> dict[str, object]:
        """An index inside the archive; its descriptor."""
        document = {"schemaVersion": 2, "mediaType": INDEX, "manifests": list(entries)}
        return self.blob(json.dumps(document).encode(), INDEX)

    def name(self, descriptor: Mapping[str, object], name: str) -> None:
        """Enter it at the top, under a full name."""
        annotations = {"io.containerd.image.name": name, "org.opencontainers.image.ref.name": name.rpartition(":")[2]}
        self.entries.append({**descriptor, "annotations": annotations})

    def tar(self) -> bytes:
        archive = Layer()
        archive.file("oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
        archive.file("index.json", json.dumps({"schemaVersion": 2, "manifests": self.entries}).encode())
        for name, data in self.documents.items():
            archive.file(name, data)
        for digest, data in self.blobs.items():
            archive.file(f"blobs/sha256/{digest.removeprefix('sha256:')}", data)
        return archive.tar()
