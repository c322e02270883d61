"""A registry with one image under one name, that can be told to do something else than to give it."""

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.archives import Layer
from tests.registries import Handler, Scripted, scripted_registry

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"


def digest_of(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def described(media_type: str, data: bytes, **more: object) -> dict[str, object]:
    return {"mediaType": media_type, "digest": digest_of(data), "size": len(data), **more}


@dataclass
class Shelf:
    """What the registry has under one name, and what it does instead of giving a blob."""

    manifests: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)
    instead: Callable[[Handler, str], bool] = lambda handler, digest: False
    """asked for each request of a blob or manifest; True where it has answered"""

    def image(self, tar: bytes, packed: bytes | None = None, **layer: object) -> bytes:
        """An image of one layer under `latest`; its blob."""
        blob = tar if packed is None else packed
        config = json.dumps({"os": "linux", "rootfs": {"type": "layers", "diff_ids": [digest_of(tar)]}}).encode()
        document = {"schemaVersion": 2, "mediaType": MANIFEST, "config": described(CONFIG, config)}
        document["layers"] = [{**described(LAYER, blob), **layer}]
        self.blobs.update({digest_of(config): config, digest_of(blob): blob})
        self.manifest("latest", MANIFEST, json.dumps(document).encode())
        return blob

    def manifest(self, tag: str, media_type: str, data: bytes) -> str:
        self.manifests[tag] = self.manifests[digest_of(data)] = (media_type, data)
        return digest_of(data)

    def answer(self, handler: Handler) -> None:
        name = handler.path.rpartition("/")[2]
        if handler.path == "/v2/":
            handler.answer(200)
        elif self.instead(handler, name):
            return
        elif name in self.manifests:
            media_type, data = self.manifests[name]
            handler.answer(200, data, Content_Type=media_type, Docker_Content_Digest=digest_of(data))
        elif name in self.blobs:
            self._blob(handler, self.blobs[name])
        else:
            handler.error(404, "MANIFEST_UNKNOWN", "manifest unknown")

    def _blob(self, handler: Handler, data: bytes) -> None:
        start = int(handler.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")[0])
        if start:
            span = f"bytes {start}-{len(data) - 1}/{len(data)}"
            handler.answer(206, data[start:], Content_Range=span)
        else:
            handler.answer(200, data)


@contextmanager
def hostile() -> Iterator[tuple[Shelf, Scripted]]:
    shelf = Shelf()
    with scripted_registry(shelf.answer) as registry:
        yield shelf, registry


def tar(content: bytes = b"content") -> bytes:
    layer = Layer()
    layer.file("file", content)
    return layer.tar()
