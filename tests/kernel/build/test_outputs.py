"""Outputs of real images: trees, archives, fewer layers; each twice, to the same bytes."""

import io
import json
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from sampan.build.outputs.annotations import Annotations
from sampan.build.outputs.archives import docker_archive, oci_archive
from sampan.build.outputs.attestations import PROVENANCE_02, SPDX, Statement, beside
from sampan.build.outputs.manifests import Portion, Wanted
from sampan.build.outputs.squashing import squash
from sampan.build.outputs.storing import store
from sampan.build.outputs.trees import Whole, cut_times, trees_of
from sampan.errors import Forbidden, InvalidParameter
from sampan.images import host
from sampan.images.loading import Loaded
from sampan.images.outgoing import Outgoing, outgoing_index
from sampan.images.references import parse_reference
from sampan.images.steps import Cancellation
from sampan.snapshots.overlay import OverlaySnapshotter
from sampan.spec.ids import Digest, ImageId
from sampan.spec.oci_image import Platform
from tests.archives import Layer
from tests.archives import docker_archive as archived
from tests.requires import requires
from tests.unit.build.cache.cached import CacheWorld

pytestmark = requires("root", "overlay")

AMD64, ARM64 = Platform("amd64", "linux"), Platform("arm64", "linux")
NAME = parse_reference("docker.io/team/app:1")
STATEMENTS = [Statement(SPDX, {"spdxVersion": "SPDX-2.3"}), Statement(PROVENANCE_02, {"buildType": "x"})]


@pytest.fixture
def real(tmp_path: Path) -> Iterator[CacheWorld]:
    made = CacheWorld(tmp_path, snapshots=OverlaySnapshotter(tmp_path))
    yield made
    made.close()


def load(world: CacheWorld, tag: str, *layers: Layer) -> ImageId:
    archive = archived(tag, [layer.tar() for layer in layers], {"Cmd": ["sh"]})
    (loaded,) = [event for event in world.images.load(io.BytesIO(archive)) if isinstance(event, Loaded)]
    return loaded.image


def base() -> Layer:
    layer = Layer()
    layer.directory("etc")
    layer.file("etc/kept", b"kept")
    layer.file("etc/gone", b"gone")
    layer.file("etc/changed", b"before")
    return layer


def above() -> tuple[Layer, Layer]:
    first, second = Layer(), Layer()
    first.file("etc/.wh.gone", b"")
    first.file("etc/changed", b"between")
    first.file("temporary", b"x" * 1000)
    second.file("etc/changed", b"after", 0o600)
    second.file(".wh.temporary", b"")
    second.symlink("link", "etc/kept")
    second.hardlink("hard", "link")
    return first, second


def tree(pieces: Iterator[bytes]) -> dict[str, bytes]:
    found = {}
    with tarfile.open(fileobj=io.BytesIO(b"".join(pieces))) as tar:
        for member in tar:
            data = tar.extractfile(member)
            found[member.name] = data.read() if data is not None and member.isfile() else member.linkname.encode()
    return found


def blobs(archive: bytes) -> dict[str, bytes]:
    return {name.removeprefix("blobs/sha256/"): data for name, data in tree(iter([archive])).items()}


def test_a_tree_is_what_a_container_would_see(real: CacheWorld) -> None:
    image = load(real, "app:1", base(), *above())
    catalog = real.images.catalog
    found = tree(trees_of(catalog, [Whole(image, beside={"sbom.spdx.json": b"{}"})]))
    assert found == {
        "sbom.spdx.json": b"{}",
        "etc": b"",
        "etc/changed": b"after",
        "etc/kept": b"kept",
        "hard": b"etc/kept",
        "link": b"hard",
    }
    assert b"".join(trees_of(catalog, [Whole(image)])) == b"".join(trees_of(catalog, [Whole(image)]))


def test_a_tree_stays_while_it_is_read(real: CacheWorld) -> None:
    image = load(real, "app:1", base())
    pieces = trees_of(real.images.catalog, [Whole(image)])
    real.images.remove(image, lambda _: (), force=True)
    assert "etc/kept" in tree(pieces)
    assert real.snapshots.layers() == ()


def test_nothing_is_made_of_this_machine(real: CacheWorld) -> None:
    with pytest.raises(Forbidden, match="this machine itself"):
        trees_of(real.images.catalog, [Whole(host.ID)])
    with pytest.raises(Forbidden, match="this machine itself"):
        docker_archive(real.images.catalog, host.ID, [])


def test_times_are_cut_off(real: CacheWorld, tmp_path: Path) -> None:
    late = Layer()
    late.file("late", b"")
    image = load(real, "app:1", late)
    with tarfile.open(fileobj=io.BytesIO(b"".join(trees_of(real.images.catalog, [Whole(image)], clock=0)))) as tar:
        (info,) = tar.getmembers()
    assert info.mtime == 0
    place = tmp_path / "place"
    (place / "sub").mkdir(parents=True)
    (place / "sub" / "file").touch()
    (place / "link").symlink_to("nowhere")
    os.utime(place / "sub" / "file", (5, 5))
    descriptor = os.open(place, os.O_RDONLY)
    cut_times(descriptor, 1000)
    os.close(descriptor)
    assert [path.lstat().st_mtime for path in (place, place / "sub", place / "sub/file", place / "link")] == [
        1000, 1000, 5, 1000,
    ]  # fmt: skip


def test_docker_takes_its_archive_back(real: CacheWorld) -> None:
    image = load(real, "app:1", base(), *above())
    archive = b"".join(docker_archive(real.images.catalog, image, [NAME]))
    assert json.loads(tree(iter([archive]))["manifest.json"])[0]["RepoTags"] == ["team/app:1"]
    real.images.remove(image, lambda _: (), force=True)
    (loaded,) = [event for event in real.images.load(io.BytesIO(archive)) if isinstance(event, Loaded)]
    assert loaded.image == image


@pytest.mark.parametrize("packed", [False, True])
def test_an_oci_layout_and_what_is_attested(real: CacheWorld, packed: bool) -> None:
    image = load(real, "app:1", base(), *above())
    told = Annotations(
        {"": {"a": "manifest"}}, {"b": "index"}, {"": {"c": "manifest descriptor"}}, {"d": "index descriptor"}
    )
    portions, wanted = [Portion(AMD64, image, STATEMENTS)], Wanted([NAME], told, packed=packed)
    made = b"".join(oci_archive(real.images.catalog, portions, wanted).pieces)
    found = blobs(made)
    assert "manifest.json" not in found
    (top,) = json.loads(found["index.json"])["manifests"]
    assert top["annotations"] == {
        "d": "index descriptor",
        "io.containerd.image.name": "docker.io/team/app:1",
        "org.opencontainers.image.ref.name": "1",
    }
    index = json.loads(found[top["digest"][7:]])
    ours, theirs = index["manifests"]
    assert (index["annotations"], ours["annotations"]) == ({"b": "index"}, {"c": "manifest descriptor"})
    assert ours["platform"] == {"architecture": "amd64", "os": "linux"}
    assert theirs["platform"] == {"architecture": "unknown", "os": "unknown"}
    assert theirs["annotations"] == {
        "vnd.docker.reference.digest": ours["digest"],
        "vnd.docker.reference.type": "attestation-manifest",
    }
    manifest = json.loads(found[ours["digest"][7:]])
    assert manifest["annotations"] == {"a": "manifest"}
    assert manifest["config"]["digest"] == image
    assert all(layer["mediaType"].endswith("+gzip") == packed for layer in manifest["layers"])
    attested = json.loads(found[theirs["digest"][7:]])
    assert [layer["annotations"]["in-toto.io/predicate-type"] for layer in attested["layers"]] == [SPDX, PROVENANCE_02]
    statement = json.loads(found[attested["layers"][0]["digest"][7:]])
    assert statement["subject"] == [
        {
            "name": "pkg:docker/team/app@1?platform=linux%2Famd64",
            "digest": {"sha256": ours["digest"].removeprefix("sha256:")},
        }
    ]
    assert b"".join(oci_archive(real.images.catalog, portions, wanted).pieces) == made
    real.images.remove(image, lambda _: (), force=True)
    (loaded,) = [event for event in real.images.load(io.BytesIO(made)) if isinstance(event, Loaded)]
    assert loaded.image == image, "what is attested stands in nobody's way"


def test_an_index_of_two_platforms_with_annotations_of_one(real: CacheWorld) -> None:
    one, other = load(real, "one:1", base()), load(real, "other:1", base(), *above())
    annotations = Annotations({"": {"a": "both"}, "linux/arm64": {"a": "arm", "x": "y"}})
    wanted = Wanted([NAME], annotations, packed=True, indexed=True)
    portions = [Portion(AMD64, one), Portion(ARM64, other, STATEMENTS)]
    found = blobs(b"".join(oci_archive(real.images.catalog, portions, wanted).pieces))
    (top,) = json.loads(found["index.json"])["manifests"]
    entries = json.loads(found[top["digest"][7:]])["manifests"]
    assert [entry["platform"]["architecture"] for entry in entries] == ["amd64", "arm64", "unknown"]
    manifests = [json.loads(found[entry["digest"][7:]]) for entry in entries[:2]]
    assert [each["annotations"] for each in manifests] == [{"a": "both"}, {"a": "arm", "x": "y"}]
    assert entries[2]["annotations"]["vnd.docker.reference.digest"] == entries[1]["digest"]
    with pytest.raises(InvalidParameter, match="no platform linux/s390x found in source"):
        oci_archive(real.images.catalog, portions, Wanted(annotations=Annotations({"linux/s390x": {"a": "b"}})))
    with pytest.raises(InvalidParameter, match="index annotations not supported for single platform export"):
        oci_archive(real.images.catalog, portions[:1], Wanted(annotations=Annotations(index={"a": "b"})))


def test_an_index_in_the_store_keeps_what_it_leads_to(real: CacheWorld) -> None:
    one, other = load(real, "one:1", base()), load(real, "other:1", base(), *above())
    catalog = real.images.catalog
    portions = [Portion(AMD64, one, STATEMENTS), Portion(ARM64, other)]
    top = store(catalog, one, portions, Wanted([NAME], packed=True, indexed=True), Cancellation())
    real.images.remove(other, lambda _: (), force=True)
    sent = outgoing_index(catalog.content, catalog.record(one).manifests)
    assert sent is not None
    assert sent.digest == top.digest
    assert [each.config.digest for each in sent.manifests[:2]] == [one, other]
    assert all(catalog.content.has(Digest(blob)) for each in sent.manifests for blob in _names(each))
    assert store(catalog, one, portions[:1], Wanted([NAME], packed=True, indexed=True), Cancellation()) != top
    real.images.remove(one, lambda _: (), force=True)
    assert catalog.orphans() == []
    assert not catalog.content.has(Digest(top.digest))


def _names(sent: Outgoing) -> list[str]:
    return [sent.config.digest, *(layer.digest for layer in sent.layers)]


def test_trees_of_two_platforms_lie_beside_each_other(real: CacheWorld) -> None:
    one, other = load(real, "one:1", base()), load(real, "other:1", base(), *above())
    wanted = [Whole(one, "linux_amd64", {"sbom.spdx.json": b"{}"}), Whole(other, "linux_arm64")]
    found = tree(trees_of(real.images.catalog, wanted))
    assert found["linux_amd64/etc/changed"] == b"before"
    assert found["linux_amd64/sbom.spdx.json"] == b"{}"
    assert (found["linux_arm64/etc/changed"], found["linux_arm64/link"]) == (b"after", b"linux_arm64/hard")


def test_statements_beside_a_tree(real: CacheWorld) -> None:
    image = load(real, "app:1", base())
    files = beside(STATEMENTS, image, "my-")
    assert set(files) == {"my-sbom.spdx.json", "my-provenance.json"}
    assert json.loads(files["my-provenance.json"])["subject"][0]["digest"] == {"sha256": image.removeprefix("sha256:")}


def test_squashed(real: CacheWorld) -> None:
    lower = load(real, "base:1", base())
    image = load(real, "app:1", base(), *above())
    catalog = real.images.catalog
    made = squash(catalog, image, lower, "2024-01-01T00:00:00Z")
    record = catalog.record(made)
    assert len(record.layers) == 2
    assert record.layers[0] == catalog.record(lower).layers[0]
    assert tree(trees_of(catalog, [Whole(made)])) == tree(trees_of(catalog, [Whole(image)]))
    with real.content.open(record.layers[1].blob) as blob, tarfile.open(fileobj=blob) as tar:  # type: ignore[arg-type]
        assert sorted(tar.getnames()) == ["etc/.wh.gone", "etc/changed", "hard", "link"]
    config = catalog.config(made)
    history = config.history or []
    assert [step.empty_layer for step in history] == [False, True, True, False]
    assert history[-1].comment == f"merge {image} to {lower}"
    assert squash(catalog, image, lower, "2024-01-01T00:00:00Z") == made
    assert catalog.orphans() == []


def test_squashed_onto_nothing(real: CacheWorld) -> None:
    image = load(real, "app:1", base(), *above())
    catalog = real.images.catalog
    made = squash(catalog, image, None)
    assert len(catalog.record(made).layers) == 1
    assert tree(trees_of(catalog, [Whole(made)])) == tree(trees_of(catalog, [Whole(image)]))
    assert (catalog.config(made).history or [])[-1].comment == f"create new from {image}"


def test_nothing_to_squash(real: CacheWorld) -> None:
    image = load(real, "base:1", base())
    made = squash(real.images.catalog, image, image)
    assert real.images.catalog.record(made).layers == real.images.catalog.record(image).layers


def test_another_base_is_refused(real: CacheWorld) -> None:
    image = load(real, "app:1", base())
    other = Layer()
    other.file("x", b"")
    with pytest.raises(Forbidden, match="does not stand on"):
        squash(real.images.catalog, image, load(real, "other:1", other))
