"""Pulling, from a registry in memory."""

import gzip
import io
import json
import threading
from pathlib import Path

import pytest
import zstandard

from sampan.errors import Forbidden, InvalidParameter, NotFound, SampanError
from sampan.images.catalog import Catalog
from sampan.images.events import ImageAction
from sampan.images.findings import Verdict
from sampan.images.pulling import PullWish
from sampan.images.references import parse_reference
from sampan.images.steps import Cancellation, Cancelled, Step
from sampan.registry.faults import Unreachable
from sampan.registry.limits import RateLimit
from sampan.spec.ids import Digest
from sampan.spec.oci_image import OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST
from tests.archives import Layer
from tests.unit.images.memory import World
from tests.unit.images.registry import GZIP, ZSTD, Broken, MemoryRepository, described, digest_of


def tar(name: str, content: bytes = b"content") -> bytes:
    made = Layer()
    made.file(name, content)
    return made.tar()


def config(*layers: bytes, os: str = "linux", architecture: str = "amd64") -> dict[str, object]:
    diff_ids = [digest_of(layer) for layer in layers]
    return {"os": os, "architecture": architecture, "rootfs": {"type": "layers", "diff_ids": diff_ids}}


def gz(data: bytes) -> tuple[str, bytes]:
    return GZIP, gzip.compress(data, mtime=0)


def add(repository: MemoryRepository, tag: str = "1", *names: str, architecture: str = "amd64") -> str:
    layers = [tar(name) for name in names or ("file",)]
    return repository.add_image(tag, config(*layers, architecture=architecture), *map(gz, layers))


def pull(world: World, name: str = "here:1/a:1", platform: str = "", end: Cancellation | None = None) -> list[Step]:
    steps: list[Step] = []
    world.images.pull(PullWish(parse_reference(name), platform), steps.append, end or Cancellation())
    return steps


def statuses(steps: list[Step], identifier: str | None = None) -> list[str]:
    return [step.status for step in steps if identifier is None or step.id == identifier]


def short(data: bytes) -> str:
    return digest_of(data)[7:19]


def stored(world: World) -> set[str]:
    return set(world.content.list())


def test_a_pull_tells_what_docker_tells(world: World) -> None:
    repository = world.registry.repository("a")
    digest = add(repository)
    steps = pull(world)
    layer = short(gz(tar("file"))[1])
    assert steps[0] == Step("Pulling from a", "1", plain=True)
    assert list(dict.fromkeys(statuses(steps, layer))) == [
        "Pulling fs layer", "Downloading", "Verifying Checksum", "Download complete", "Extracting", "Pull complete",
    ]  # fmt: skip
    assert steps[-2:] == [
        Step(f"Digest: {digest}", plain=True),
        Step("Status: Downloaded newer image for here:1/a:1", plain=True),
    ]
    found = world.images.inspect("here:1/a:1")
    assert found.repo_tags == ("here:1/a:1",)
    assert found.repo_digests == (f"here:1/a@{digest}",)
    assert world.events == [(ImageAction.PULL, "here:1/a:1", "here:1/a")]
    again = pull(world)
    assert statuses(again)[1:] == [f"Digest: {digest}", "Status: Image is up to date for here:1/a:1"]


@pytest.mark.parametrize("pack", ["gzip", "zstd", "plain"])
def test_layers_come_in_any_compression(world: World, pack: str) -> None:
    data = tar("file")
    packed = {
        "gzip": gz(data),
        "zstd": (ZSTD, zstandard.ZstdCompressor().compress(data)),
        "plain": (OCI_LAYER, data),
    }[pack]
    digest = world.registry.repository("a").add_image("1", config(data), packed)
    pull(world)
    image = world.images.resolve("here:1/a:1")
    record = Catalog(world.store, world.content, world.snapshots).record(image)
    assert record.layers[0].blob == digest_of(packed[1])
    assert record.manifests[0].digest == digest
    assert record.manifests[0].repositories == ["here:1/a"]


def test_layers_that_are_here_are_not_brought_again(world: World) -> None:
    repository = world.registry.repository("a")
    add(repository, "1", "one", "two")
    add(repository, "2", "one", "three")
    pull(world)
    world.registry.asked.clear()
    steps = pull(world, "here:1/a:2")
    assert statuses(steps, short(gz(tar("one"))[1])) == ["Already exists"]
    assert digest_of(gz(tar("one"))[1]) not in dict(world.registry.asked)
    assert digest_of(gz(tar("three"))[1]) in dict(world.registry.asked)


def test_the_same_layer_twice_is_brought_once(world: World) -> None:
    data = tar("file")
    world.registry.repository("a").add_image("1", config(data, data), gz(data), gz(data))
    pull(world)
    assert [digest for digest, _ in world.registry.asked].count(digest_of(gz(data)[1])) == 1
    assert len(world.images.inspect("here:1/a:1").diff_ids) == 2


def test_by_digest_there_is_a_digest_and_no_tag(world: World) -> None:
    digest = add(world.registry.repository("a"))
    steps = pull(world, f"here:1/a@{digest}")
    assert steps[0] == Step("Pulling from a", f"here:1/a@{digest}", plain=True)
    assert statuses(steps)[-1] == f"Status: Downloaded newer image for here:1/a@{digest}"
    found = world.images.inspect(f"here:1/a@{digest}")
    assert (found.repo_tags, found.repo_digests) == ((), (f"here:1/a@{digest}",))


def test_all_tags(world: World) -> None:
    repository = world.registry.repository("a")
    add(repository, "1", "one")
    add(repository, "2", "two")
    steps = pull(world, "here:1/a")
    assert [step.id for step in steps if step.status == "Pulling from a"] == ["1", "2"]
    assert statuses(steps)[-1] == "Status: Downloaded newer image for here:1/a"
    assert sorted(name for image in world.images.list() for name in image.repo_tags if "here" in name) == [
        "here:1/a:1",
        "here:1/a:2",
    ]


def test_a_tag_that_moved_leaves_the_old_image_its_digest(world: World) -> None:
    repository = world.registry.repository("a")
    old = add(repository, "1", "one")
    pull(world)
    new = add(repository, "1", "two")
    pull(world)
    assert world.images.inspect("here:1/a:1").repo_digests == (f"here:1/a@{new}",)
    assert world.images.inspect(f"here:1/a@{old}").repo_tags == ()


# ---- platforms


def test_of_an_index_the_wanted_platform_is_taken(world: World) -> None:
    repository = world.registry.repository("a")
    entries = [
        ("linux/amd64", add(repository, "", "amd", architecture="amd64")),
        ("linux/arm64", add(repository, "", "arm", architecture="arm64")),
    ]
    index = repository.add_index("1", *entries)
    steps = pull(world, platform="linux/arm64")
    assert f"Digest: {index}" in statuses(steps)
    found = world.images.inspect("here:1/a:1")
    assert (found.architecture, found.repo_digests) == ("arm64", (f"here:1/a@{index}",))
    with pytest.raises(NotFound, match=r"^no matching manifest for linux/s390x in the manifest list entries$"):
        pull(world, platform="linux/s390x")


def test_one_image_alone_is_taken_whatever_it_is_for(world: World) -> None:
    add(world.registry.repository("a"), architecture="arm64")
    assert not [step for step in pull(world) if "WARNING" in step.status]
    warned = statuses(pull(world, platform="linux/amd64"))[-1]
    assert warned.startswith(
        "WARNING: image with reference here:1/a:1 was found but its platform (linux/arm64) does not"
    )
    assert "WARNING" not in statuses(pull(world, platform="linux/arm64/v8"))[-1]


def test_indexes_in_indexes_end(world: World) -> None:
    repository = world.registry.repository("a")
    digest = add(repository, "")
    for _ in range(2):
        digest = repository.add_index("1", ("linux/amd64", digest))
    pull(world)
    for _ in range(2):
        digest = repository.add_index("1", ("linux/amd64", digest))
    with pytest.raises(InvalidParameter, match="nested too deeply"):
        pull(world)


# ---- what may go wrong


def refused(world: World, match: str, kind: type[SampanError] = SampanError, name: str = "here:1/a:1") -> None:
    before = stored(world)
    with pytest.raises(kind, match=match):
        pull(world, name)
    assert stored(world) == before
    assert world.snapshots.layers() == ()


def test_what_is_not_there(world: World) -> None:
    refused(world, "manifest for a:1 not found", NotFound)
    refused(world, "'scratch' is a reserved name", Forbidden, "scratch")
    refused(world, "reserved for this machine", InvalidParameter, "host")


def test_manifests_that_are_not_what_they_are_called(world: World) -> None:
    repository = world.registry.repository("a")
    digest = add(repository)
    repository.manifests[digest] = (OCI_MANIFEST, b"{}")
    refused(world, f"manifest verification failed for digest {digest}")


SCHEMA_1 = (
    r"^Docker Image Format v1 and Docker Image manifest version 2, schema 1 support has been removed\. Suggest the author of "
    r"here:1/a:1 to upgrade"
)


@pytest.mark.parametrize(
    ("media_type", "document", "match"),
    [
        ("application/vnd.docker.distribution.manifest.v1+prettyjws", {"fsLayers": []}, SCHEMA_1),
        ("", {"schemaVersion": 1, "fsLayers": [{}]}, SCHEMA_1),
        ("text/html", {"mediaType": "application/vnd.else"}, "unsupported media type application/vnd.else"),
        (OCI_INDEX, {"manifests": [], "layers": []}, "ambiguous"),
        (OCI_MANIFEST, {"manifests": [], "config": {}}, "ambiguous"),
        (OCI_MANIFEST, {"mediaType": OCI_INDEX, "config": {}}, "its descriptor says"),
        (OCI_MANIFEST, [], "malformed"),
        (OCI_INDEX, {"manifests": []}, "no matching manifest for linux/amd64 in the manifest list entries"),
    ],
)
def test_documents_that_are_no_image(world: World, media_type: str, document: object, match: str) -> None:
    world.registry.repository("a").add_manifest("1", media_type, json.dumps(document).encode())
    refused(world, match)


def manifest_of(*layers: dict[str, object], kind: str = OCI_CONFIG) -> bytes:
    parts = {"config": described(kind, b"{}"), "layers": list(layers)}
    return json.dumps({"schemaVersion": 2, "mediaType": OCI_MANIFEST, **parts}).encode()


@pytest.mark.parametrize(
    ("manifest", "match"),
    [
        (
            manifest_of(kind="application/vnd.cncf.helm.config.v1+json"),
            "unsupported media type application/vnd.cncf.helm",
        ),
        (manifest_of(described("application/x", b"")), "unsupported media type application/x"),
        (manifest_of(described(GZIP, b"", urls=["http://x"])), "foreign"),
        (manifest_of(described("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", b"")), "foreign"),
        (manifest_of(described(GZIP, b"", digest="sha256:../../x")), "invalid digest"),
        (manifest_of(described(GZIP, b"", size=-1)), "malformed"),
        (manifest_of(kind="application/vnd.docker.ai.model.config.v0.1+json"), "AI models"),
    ],
)
def test_parts_that_are_no_layers(world: World, manifest: bytes, match: str) -> None:
    world.registry.repository("a").add_manifest("1", OCI_MANIFEST, manifest)
    refused(world, match)


@pytest.mark.parametrize(
    ("document", "match"),
    [
        (config(tar("file"), tar("other")), "layers from manifest don't match image configuration"),
        ({"os": "linux"}, "invalid rootfs in image configuration"),
        (config(tar("file"), os="windows"), 'image operating system "windows" cannot be used on this platform'),
        (config(tar("other")), "failed to register layer: wrong diff id"),
    ],
)
def test_configurations_that_do_not_fit(world: World, document: dict[str, object], match: str) -> None:
    world.registry.repository("a").add_image("1", document, gz(tar("file")))
    refused(world, match)


def test_a_wrong_layer_is_not_kept(world: World) -> None:
    add(world.registry.repository("a"))
    digest, packed = digest_of(gz(tar("file"))[1]), gz(tar("file"))[1]
    world.registry.broken[digest] = Broken(swap=bytes(len(packed)))
    refused(world, f"filesystem layer verification failed for digest {digest}")
    assert not world.content.partials.waiting()
    world.registry.broken.clear()
    pull(world)


def test_a_layer_that_is_shorter_than_announced(world: World) -> None:
    data = tar("file")
    world.registry.repository("a").add_image("1", config(data), (OCI_LAYER, data))
    media_type, manifest = world.registry.repository("a").manifests["1"]
    lying = json.loads(manifest)
    lying["layers"][0]["size"] += 1
    world.registry.repository("a").add_manifest("1", media_type, json.dumps(lying).encode())
    refused(world, f"content {digest_of(data)} ended after {len(data)} of {len(data) + 1} bytes")


def test_a_cut_layer_goes_on_where_it_broke(world: World) -> None:
    data = tar("file", bytes(range(256)) * 100)
    world.registry.repository("a").add_image("1", config(data), (OCI_LAYER, data))
    world.registry.broken[digest_of(data)] = Broken(cut=3000, times=1)
    steps = pull(world)
    assert [offset for digest, offset in world.registry.asked if digest == digest_of(data)] == [0, 3000]
    assert "Retrying in 5 seconds" in statuses(steps, short(data))
    assert "Retrying in 1 second" in statuses(steps, short(data))


def test_what_came_waits_for_the_next_pull_of_another_daemon(world: World, tmp_path: Path) -> None:
    data = tar("file", bytes(range(256)) * 100)
    registry = world.registry
    registry.repository("a").add_image("1", config(data), (OCI_LAYER, data))
    registry.broken[digest_of(data)] = Broken(cut=1000, times=5)
    refused(world, "unexpected EOF", Unreachable)
    world.close()
    again = World(tmp_path, world.snapshots)
    again.registry.repositories.update(registry.repositories)
    pull(again)
    assert (digest_of(data), 5000) in registry.asked
    again.close()


def test_two_pulls_share_one_download(world: World) -> None:
    data = tar("file", bytes(range(256)) * 100)
    world.registry.repository("a").add_image("1", config(data), (OCI_LAYER, data))
    hold = threading.Event()
    world.registry.broken[digest_of(data)] = Broken(hold=hold)
    both: list[list[Step]] = [[], []]
    wish = PullWish(parse_reference("here:1/a:1"))
    joined = threading.Semaphore(0)

    def report(number: int, step: Step) -> None:
        both[number].append(step)
        if step.status == "Downloading":
            joined.release()

    threads = [
        threading.Thread(target=lambda n=n: world.images.pull(wish, lambda step: report(n, step), Cancellation()))
        for n in range(2)
    ]
    for thread in threads:
        thread.start()
        assert joined.acquire(timeout=20)
    hold.set()
    for thread in threads:
        thread.join(20)
    assert [digest for digest, _ in world.registry.asked].count(digest_of(data)) == 1
    assert all(statuses(steps)[-1].startswith("Status: ") for steps in both)


def test_a_pull_that_nobody_waits_for_ends(world: World) -> None:
    data = tar("file", bytes(range(256)) * 100)
    world.registry.repository("a").add_image("1", config(data), (OCI_LAYER, data))
    hold, end = threading.Event(), Cancellation()
    world.registry.broken[digest_of(data)] = Broken(hold=hold)

    def report(step: Step) -> None:
        if step.status == "Downloading":
            end.cancel()

    with pytest.raises(Cancelled):
        world.images.pull(PullWish(parse_reference("here:1/a:1")), report, end)
    hold.set()
    assert not world.images.list() or all(
        not image.repo_tags or "here" not in image.repo_tags[0] for image in world.images.list()
    )


def _whole(world: World, name: str) -> None:
    catalog = world.images._catalog
    image = world.images.resolve(name)
    assert all(world.content.has(Digest(blob)) for blob in (image, *catalog.record(image).blobs()))
    assert b"".join(world.images.save([name]))


def test_an_image_that_is_removed_while_it_is_pulled_again(world: World) -> None:
    """Everything is there when the pull looks, and the image goes right before the pull would name it."""
    add(world.registry.repository("a"), "1", "x", "y")
    pull(world)
    removed: list[str] = []

    def remove(step: Step) -> None:
        if step.status.startswith("Digest:"):
            removed.extend(one.deleted for one in world.images.remove("here:1/a:1", lambda _: [], force=True))

    world.images.pull(PullWish(parse_reference("here:1/a:1"), ""), remove, Cancellation())
    assert removed
    _whole(world, "here:1/a:1")
    world.images.remove("here:1/a:1", lambda _: [])
    assert stored(world) == set()
    assert world.snapshots.layers() == ()


@pytest.mark.parametrize("lost", ["configuration", "layer blob", "manifest", "layer"])
def test_what_was_lost_is_brought_by_the_next_pull(world: World, lost: str) -> None:
    add(world.registry.repository("a"), "1", "x", "y")
    pull(world)
    catalog = world.images._catalog
    image = world.images.resolve("here:1/a:1")
    record = catalog.record(image)
    blobs = {
        "configuration": image,
        "layer blob": record.layers[1].blob,
        "manifest": record.manifests[0].digest,
    }
    if lost == "layer":
        world.snapshots.remove_layer(catalog.chains(image)[-1])
    else:
        world.content.quarantine(Digest(blobs[lost]))
        catalog.forget_config(image)
    pull(world)
    _whole(world, "here:1/a:1")
    assert world.images.inspect("here:1/a:1").size == 14
    assert list(world.images.check(lambda _: [], repair=False))[-1] == Verdict(1, len(stored(world)), 2, 0, 0)


def test_an_image_that_was_loaded_and_lost_a_blob_is_mended_by_a_pull(world: World) -> None:
    """It was loaded with plain layers and is pulled with compressed ones; what the record named is replaced."""
    add(world.registry.repository("a"), "1", "x", "y")
    pull(world)
    archive = b"".join(world.images.save(["here:1/a:1"]))
    world.images.remove("here:1/a:1", lambda _: [])
    list(world.images.load(io.BytesIO(archive)))
    record = world.images._catalog.record(world.images.resolve("here:1/a:1"))
    world.content.quarantine(Digest(record.layers[0].blob))
    pull(world)
    _whole(world, "here:1/a:1")


def test_few_pulls_that_are_left_are_told(world: World) -> None:
    add(world.registry.repository("a"))
    world.registry.repository("a").rate_limit = RateLimit(100, 50, 21600)
    assert not [step for step in pull(world) if "pulls left" in step.status]
    world.registry.repository("a").rate_limit = RateLimit(100, 3, 21600)
    assert pull(world)[-1] == Step("WARNING: here:1: 3 of 100 pulls left in 6 hours", plain=True)
