"""What a record keeps of where an image came from."""

import gzip
import io
import json
from pathlib import Path

import msgspec

from sampan.images.catalog import Catalog, ImageRecord, LayerRecord, ManifestRecord
from sampan.images.loading import Loaded
from sampan.spec.ids import Digest, ImageId
from sampan.spec.oci_image import OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST
from tests.archives import Layer
from tests.unit.images.memory import World
from tests.unit.images.registry import described, digest_of


def layout(reference: str) -> tuple[bytes, bytes, bytes, bytes]:
    """An OCI layout with one gzipped layer; the archive, and its manifest, configuration and layer."""
    tar = Layer()
    tar.file("file", b"content")
    plain = tar.tar()
    packed = gzip.compress(plain, mtime=0)
    config = json.dumps({"os": "linux", "rootfs": {"type": "layers", "diff_ids": [digest_of(plain)]}}).encode()
    document = {
        "schemaVersion": 2,
        "config": described(OCI_CONFIG, config),
        "layers": [described(OCI_LAYER + "+gzip", packed)],
    }
    manifest = json.dumps(document).encode()
    named = {**described(OCI_MANIFEST, manifest), "annotations": {"io.containerd.image.name": reference}}
    archive = Layer()
    for blob in (manifest, config, packed):
        archive.file("blobs/sha256/" + digest_of(blob).removeprefix("sha256:"), blob)
    archive.file("index.json", json.dumps({"schemaVersion": 2, "manifests": [named]}).encode())
    return archive.tar(), manifest, config, packed


def load(world: World, archive: bytes) -> ImageId:
    (loaded,) = [event for event in world.images.load(io.BytesIO(archive)) if isinstance(event, Loaded)]
    return loaded.image


def record(world: World, image: ImageId) -> ImageRecord:
    return Catalog(world.store, world.content, world.snapshots).record(image)


def test_the_manifest_of_a_layout_is_kept_as_long_as_the_image(world: World, tmp_path: Path) -> None:
    archive, manifest, config, packed = layout("a:1")
    image = load(world, archive)
    assert image == digest_of(config)
    assert record(world, image).manifests == [ManifestRecord(digest_of(manifest), OCI_MANIFEST, [digest_of(packed)])]
    assert world.content.read(Digest(digest_of(manifest)), 1 << 20) == manifest
    kept = world.snapshots
    world.close()
    again = World(tmp_path, kept)
    assert set(again.content.list()) == {digest_of(blob) for blob in (manifest, config, packed)}
    again.images.remove("a:1", lambda image: ())
    assert set(again.content.list()) == set()
    again.close()


def test_a_record_without_manifests_still_reads() -> None:
    old = b'{"layers":[{"blob":"sha256:1","diff_id":"sha256:2","size":3}],"added":5,"tagged":6,"parent":""}'
    read = msgspec.json.decode(old, type=ImageRecord)
    assert read == ImageRecord([LayerRecord("sha256:1", "sha256:2", 3)], 5, 6)
    assert read.blobs() == {"sha256:1"}


def test_manifests_are_told_once_the_latest_last_with_all_their_repositories(world: World) -> None:
    archive, manifest, _, packed = layout("a:1")
    image = load(world, archive)
    catalog = Catalog(world.store, world.content, world.snapshots)
    known = ManifestRecord(digest_of(manifest), OCI_MANIFEST, [digest_of(packed)], ["here/a"])
    index = ManifestRecord("sha256:" + "1" * 64, OCI_INDEX, [], ["here/a"])
    catalog.add(image, [], (), manifests=[index])
    catalog.add(image, [], (), manifests=[known])
    catalog.add(image, [], (), manifests=[msgspec.structs.replace(known, repositories=["there/a", "here/a"])])
    there = msgspec.structs.replace(known, repositories=["here/a", "there/a"])
    assert catalog.record(image).manifests == [index, there]
