"""Outputs of real images: trees, archives, fewer layers; each twice, to the same bytes."""

import io
import json
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from sampan.build.outputs.archives import docker_archive, oci_archive
from sampan.build.outputs.attestations import PROVENANCE_02, SPDX, Statement, beside
from sampan.build.outputs.squashing import squash
from sampan.build.outputs.trees import cut_times, tree_of
from sampan.build.outputs.wishes import Annotations
from sampan.errors import Forbidden
from sampan.images import host
from sampan.images.loading import Loaded
from sampan.images.references import parse_reference
from sampan.snapshots.overlay import OverlaySnapshotter
from sampan.spec.ids import ImageId
from tests.archives import Layer
from tests.archives import docker_archive as archived
from tests.requires import requires
from tests.unit.build.cache.cached import CacheWorld

pytestmark = requires("root", "overlay")

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
    found = tree(tree_of(catalog, image, beside={"sbom.spdx.json": b"{}"}))
    assert found == {
        "sbom.spdx.json": b"{}",
        "etc": b"",
        "etc/changed": b"after",
        "etc/kept": b"kept",
        "hard": b"etc/kept",
        "link": b"hard",
    }
    assert b"".join(tree_of(catalog, image)) == b"".join(tree_of(catalog, image))


def test_a_tree_stays_while_it_is_read(real: CacheWorld) -> None:
    image = load(real, "app:1", base())
    pieces = tree_of(real.images.catalog, image)
    real.images.remove(image, lambda _: (), force=True)
    assert "etc/kept" in tree(pieces)
    assert real.snapshots.layers() == ()


def test_nothing_is_made_of_this_machine(real: CacheWorld) -> None:
    with pytest.raises(Forbidden, match="this machine itself"):
        tree_of(real.images.catalog, host.ID)
    with pytest.raises(Forbidden, match="this machine itself"):
        docker_archive(real.images.catalog, host.ID, [])


def test_times_are_cut_off(real: CacheWorld, tmp_path: Path) -> None:
    late = Layer()
    late.file("late", b"")
    image = load(real, "app:1", late)
    with tarfile.open(fileobj=io.BytesIO(b"".join(tree_of(real.images.catalog, image, clock=0)))) as tar:
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
    told = Annotations({"a": "manifest"}, {"b": "index"}, {"c": "manifest descriptor"}, {"d": "index descriptor"})
    made = b"".join(oci_archive(real.images.catalog, image, [NAME], told, STATEMENTS, packed=packed))
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
    again = b"".join(oci_archive(real.images.catalog, image, [NAME], told, STATEMENTS, packed=packed))
    assert again == made
    real.images.remove(image, lambda _: (), force=True)
    (loaded,) = [event for event in real.images.load(io.BytesIO(made)) if isinstance(event, Loaded)]
    assert loaded.image == image, "what is attested stands in nobody's way"


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
    assert tree(tree_of(catalog, made)) == tree(tree_of(catalog, image))
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
    assert tree(tree_of(catalog, made)) == tree(tree_of(catalog, image))
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
