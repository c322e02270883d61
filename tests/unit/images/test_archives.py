"""Archives in and out: layouts of every kind, platforms, and manifests that survive the way."""

import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sampan.errors import InvalidParameter, NotFound, System
from sampan.images.loading import Loaded
from tests.archives import Layer, docker_archive
from tests.oci_archives import OciArchive, digest_of, packed_gzip, packed_zstd
from tests.unit.images.memory import World

OTHER = "arm64"


@pytest.fixture
def other_world(tmp_path: Path) -> Iterator[World]:
    (tmp_path / "other").mkdir()
    made = World(tmp_path / "other")
    yield made
    made.close()


def layer(text: str) -> bytes:
    made = Layer()
    made.file(f"etc/{text}", text.encode())
    return made.tar()


def members(archive: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        files = {member.name: tar.extractfile(member) for member in tar if member.isfile()}
        return {name: file.read() for name, file in files.items() if file is not None}


def load(world: World, archive: bytes, platform: str = "") -> list[Loaded]:
    return [event for event in world.images.load(io.BytesIO(archive), platform) if isinstance(event, Loaded)]


def one(pack: Callable[[bytes], bytes] = packed_gzip) -> tuple[bytes, dict[str, object]]:
    archive = OciArchive()
    descriptor = archive.image([layer("a"), layer("b")], pack)
    archive.name(descriptor, "example.org/a:1")
    return archive.tar(), descriptor


@pytest.mark.parametrize("pack", [packed_gzip, packed_zstd, bytes])
def test_a_manifest_survives_load_and_save(world: World, pack: Callable[[bytes], bytes]) -> None:
    archive, descriptor = one(pack)
    load(world, archive)
    saved = b"".join(world.images.save(["example.org/a:1"]))
    found = members(saved)
    (entry,) = json.loads(found["index.json"])["manifests"]
    assert entry["digest"] == descriptor["digest"]
    before, after = members(archive), found
    assert all(after[name] == data for name, data in before.items() if name.startswith("blobs/"))
    (listed,) = json.loads(found["manifest.json"])
    layers = [found[name] for name in listed["Layers"]]
    wanted = [layer("a"), layer("b")]
    # Docker 20.10 reads manifest.json, and knows no zstd.
    assert layers == (wanted if pack is packed_zstd else [pack(data) for data in wanted])
    assert listed["RepoTags"] == ["example.org/a:1"]


def test_and_a_second_time(world: World, other_world: World) -> None:
    load(world, one()[0])
    saved = b"".join(world.images.save(["example.org/a:1"]))
    load(other_world, saved)
    assert b"".join(other_world.images.save(["example.org/a:1"])) == saved


def test_a_blob_that_is_not_what_its_name_says(world: World) -> None:
    archive = OciArchive()
    archive.name(archive.image([layer("a")]), "a:1")
    digest = next(name for name, data in archive.blobs.items() if data.startswith(b"\x1f\x8b"))
    archive.blobs[digest] = packed_gzip(layer("evil"))
    with pytest.raises(InvalidParameter, match="was expected"):
        load(world, archive.tar())
    assert world.images.count() == 1


def several() -> tuple[bytes, dict[str, dict[str, object]]]:
    archive = OciArchive()
    images = {name: archive.image([layer(name)], architecture=name) for name in ("amd64", OTHER)}
    entries = [entry for image in images.values() for entry in (image, archive.attestation(image))]
    archive.name(archive.index(entries), "docker.io/library/a:1")
    return archive.tar(), images


def test_one_platform_of_several(world: World) -> None:
    load(world, several()[0], f"linux/{OTHER}")
    assert world.images.inspect("a:1").architecture == OTHER


def test_without_a_platform_the_machines_own(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sampan.images.platforms.os.uname", lambda: type("U", (), {"machine": "x86_64"}))
    load(world, several()[0])
    assert world.images.inspect("a:1").architecture == "amd64"


def test_a_platform_that_the_archive_lacks(world: World) -> None:
    for archive in (several()[0], docker_archive("a:1", [layer("a")], {})):
        with pytest.raises(NotFound, match=r"does not provide the specified platform \(linux/s390x\)"):
            load(world, archive, "linux/s390x")
    assert world.images.count() == 1


def test_an_index_that_lists_more_than_the_archive_holds(world: World) -> None:
    archive = OciArchive()
    images = [archive.image([layer(name)], architecture=name) for name in ("amd64", OTHER)]
    archive.name(archive.index(images), "a:1")
    del archive.blobs[str(images[0]["digest"])]
    load(world, archive.tar(), f"linux/{OTHER}")
    assert world.images.inspect("a:1").architecture == OTHER


def test_an_attestation_alone_is_no_image(world: World) -> None:
    archive = OciArchive()
    image = archive.image([layer("a")])
    archive.name(image, "a:1")
    archive.entries.append(archive.attestation(image))
    assert len(load(world, archive.tar())) == 1


def test_saving_for_another_platform(world: World) -> None:
    load(world, docker_archive("a:1", [layer("a")], {}))
    assert b"".join(world.images.save(["a:1"], "linux/amd64"))
    with pytest.raises(System, match=r"^no suitable export target found for platform linux/arm64$"):
        world.images.save(["a:1"], "linux/arm64")


def test_saving_what_is_not_here(world: World) -> None:
    with pytest.raises(NotFound, match=r"^No such image: nothing$"):
        world.images.save(["nothing"])


def test_layers_that_are_links_to_another_images(world: World) -> None:
    """As Docker before 25 wrote a layer that two images share."""
    data = layer("a")
    config = {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [digest_of(data)]}}
    archive = Layer()
    archive.file("one/layer.tar", data)
    archive.file("one/json", b"{}")
    archive.file("one/VERSION", b"1.0")
    archive.symlink("two/layer.tar", "../one/layer.tar")
    listed = []
    for name in ("one", "two"):
        document = json.dumps({**config, "config": {"Cmd": [name]}}).encode()
        archive.file(f"{name}.json", document)
        listed.append({"Config": f"{name}.json", "RepoTags": [f"{name}:1"], "Layers": [f"{name}/layer.tar"]})
    archive.file("manifest.json", json.dumps(listed).encode())
    archive.file("repositories", json.dumps({"one": {"1": "one"}, "two": {"1": "two"}}).encode())
    assert [event.names for event in load(world, archive.tar())] == [("one:1",), ("two:1",)]
    assert len(world.snapshots.layers()) == 1


def test_the_same_image_gives_the_same_archive(world: World, other_world: World) -> None:
    archive = docker_archive("a:1", [layer("a"), layer("b")], {"Cmd": ["sh"]})
    saved = []
    for each in (world, other_world):
        load(each, archive)
        saved.append(hashlib.sha256(b"".join(each.images.save(["a:1"]))).hexdigest())
    assert saved[0] == saved[1]


@pytest.mark.parametrize("repositories", [True, False])
def test_an_archive_from_before_docker_1_10(world: World, repositories: bool) -> None:
    """Its layers carry their configuration, and `repositories` the names; there is no manifest.json."""
    ancient, inside, identifier = Layer(), Layer(), "a" * 64
    inside.file("etc/hostname", b"old")
    ancient.directory(identifier)
    ancient.file(f"{identifier}/VERSION", b"1.0")
    ancient.file(f"{identifier}/json", json.dumps({"id": identifier, "os": "linux"}).encode())
    ancient.file(f"{identifier}/layer.tar", inside.tar())
    if repositories:
        ancient.file("repositories", json.dumps({"old": {"1": identifier}}).encode())
    with pytest.raises(InvalidParameter, match=r"^invalid archive: does not contain a manifest\.json") as refused:
        list(world.images.load(io.BytesIO(ancient.tar())))
    assert ("before 1.10" in str(refused.value)) == repositories
    assert list(world.content.list()) == []
