"""Pushing, to a registry in memory."""

import gzip
import io
import json
from collections.abc import Callable

import pytest
import zstandard

from sampan.content.store import Content
from sampan.errors import Forbidden, InvalidParameter, NotFound, SampanError
from sampan.images.events import ImageAction
from sampan.images.pulling import PullWish
from sampan.images.references import parse_reference
from sampan.images.steps import Cancellation, Cancelled, PushResult, Step
from sampan.registry.faults import Unreachable
from sampan.registry.protocol import Credentials
from sampan.spec.ids import Digest
from sampan.spec.oci_image import DOCKER_LAYER, DOCKER_MANIFEST, OCI_MANIFEST
from tests.archives import Layer, docker_archive
from tests.unit.images.memory import World
from tests.unit.images.registry import ZSTD, Broken, digest_of


def tar(name: str, content: bytes = b"content") -> bytes:
    made = Layer()
    made.file(name, content)
    return made.tar()


def load(world: World, name: str, *layers: bytes) -> None:
    for _ in world.images.load(io.BytesIO(docker_archive(name, layers, {}))):
        pass


def push(world: World, name: str = "here:1/a:1", end: Cancellation | None = None) -> list[Step]:
    steps: list[Step] = []
    world.images.push(parse_reference(name), Credentials(), steps.append, end or Cancellation())
    return steps


def pull(world: World, name: str) -> None:
    world.images.pull(PullWish(parse_reference(name)), lambda step: None, Cancellation())


def statuses(steps: list[Step], data: bytes) -> list[str]:
    return [step.status for step in steps if step.id == digest_of(data)[7:19]]


def manifest(world: World, path: str, tag: str) -> tuple[str, bytes]:
    return world.registry.repository(path).manifests[tag]


def test_a_push_tells_what_docker_tells(world: World) -> None:
    load(world, "here:1/a:1", tar("one"), tar("two"))
    steps = push(world)
    assert steps[0] == Step("The push refers to repository [here:1/a]", plain=True)
    assert [step.id for step in steps[1:3]] == [digest_of(tar(name))[7:19] for name in ("two", "one")]
    assert statuses(steps, tar("one")) == ["Preparing", "Pushing", "Pushed"]
    media_type, data = manifest(world, "a", "1")
    digest = digest_of(data)
    assert steps[-2] == Step(f"1: digest: {digest} size: {len(data)}", plain=True)
    assert steps[-1].result == PushResult("1", digest, len(data))
    assert media_type == DOCKER_MANIFEST
    document = json.loads(data)
    assert [layer["mediaType"] for layer in document["layers"]] == [DOCKER_LAYER] * 2
    blobs = world.registry.repository("a").blobs
    assert [gzip.decompress(blobs[layer["digest"]]) for layer in document["layers"]] == [tar("one"), tar("two")]
    assert world.images.inspect("here:1/a:1").repo_digests == (f"here:1/a@{digest}",)
    assert world.events[-1] == (ImageAction.PUSH, "here:1/a:1", "here:1/a")


def test_a_second_push_sends_nothing(world: World) -> None:
    load(world, "here:1/a:1", tar("one"))
    push(world)
    before = manifest(world, "a", "1")
    world.registry.uploads.clear()
    assert statuses(push(world), tar("one")) == ["Preparing", "Layer already exists"]
    assert world.registry.uploads == []
    assert manifest(world, "a", "1") == before


def test_a_layer_is_packed_once_for_all_images(world: World) -> None:
    load(world, "here:1/a:1", tar("one"))
    load(world, "here:1/b:1", tar("one"), tar("two"))
    push(world)
    before = set(world.content.list())
    push(world, "here:1/b:1")
    fresh = set(world.content.list()) - before
    assert len(fresh) == 2, "the other layer and the manifest"


def test_a_neighbour_gives_the_layer(world: World) -> None:
    load(world, "here:1/a:1", tar("one"))
    world.images.tag("here:1/a:1", "here:1/b:1")
    push(world)
    assert statuses(push(world, "here:1/b:1"), tar("one")) == ["Preparing", "Mounted from a"]


def test_another_registry_s_neighbours_are_not_asked(world: World) -> None:
    load(world, "here:1/a:1", tar("one"))
    world.images.tag("here:1/a:1", "there:1/b:1")
    push(world)
    assert statuses(push(world, "there:1/b:1"), tar("one"))[-1] == "Pushed"
    assert world.registry.mounts == []


@pytest.mark.parametrize("drop", [False, True])
def test_what_was_pulled_goes_as_it_came(world: World, drop: bool) -> None:
    data = tar("one")
    packed = (ZSTD, zstandard.ZstdCompressor().compress(data))
    config: dict[str, object] = {"os": "linux", "rootfs": {"type": "layers", "diff_ids": [digest_of(data)]}}
    digest = world.registry.repository("a").add_image("1", config, packed, annotations={"of": "its own"})
    pull(world, "here:1/a:1")
    world.images.tag("here:1/a:1", "there:1/c:2")
    if drop:
        world.content.delete(Digest(digest))
    push(world, "there:1/c:2")
    media_type, sent = world.registry.repository("c", "there:1").manifests["2"]
    assert media_type == OCI_MANIFEST
    assert (digest_of(sent) == digest) is not drop
    assert json.loads(sent)["layers"][0] == {"mediaType": ZSTD, "digest": digest_of(packed[1]), "size": len(packed[1])}


def test_all_tags_of_a_repository(world: World) -> None:
    load(world, "here:1/a:1", tar("one"))
    load(world, "here:1/a:2", tar("two"))
    push(world, "here:1/a")
    assert {"1", "2"} <= world.registry.repository("a").manifests.keys()


def test_a_push_does_not_change_when_the_image_was_tagged(world: World) -> None:
    load(world, "here:1/a:1", tar("one"))
    before = world.images.inspect("here:1/a:1").last_tagged_ns
    push(world)
    assert world.images.inspect("here:1/a:1").last_tagged_ns == before


@pytest.mark.parametrize(
    ("name", "kind", "said"),
    [
        ("here:1/none:1", NotFound, "An image does not exist locally with the tag: here:1/none"),
        ("here:1/a:2", NotFound, "tag does not exist: here:1/a:2"),
        ("here:1/a@sha256:" + "1" * 64, InvalidParameter, "cannot push a digest reference"),
        ("here:1/machine:1", Forbidden, "here:1/machine:1 stands on the image host"),
    ],
)
def test_what_cannot_be_pushed(world: World, name: str, kind: type[SampanError], said: str) -> None:
    load(world, "here:1/a:1", tar("one"))
    world.images.tag("host", "here:1/machine:1")
    with pytest.raises(kind) as refused:
        push(world, name)
    assert str(refused.value).startswith(said)
    assert world.registry.uploads == []


def test_only_digests_are_left_to_push(world: World) -> None:
    load(world, "here:1/a:1", tar("one"))
    push(world)
    digest = world.images.inspect("here:1/a:1").repo_digests[0]
    world.images.remove("here:1/a:1", lambda image: ())
    pull(world, digest)
    with pytest.raises(NotFound, match=r"no tags to push for here:1/a$"):
        push(world, digest.partition("@")[0])


def test_a_push_that_nobody_waits_for_ends(world: World) -> None:
    load(world, "here:1/a:1", tar("one"))
    end = Cancellation()
    end.cancel()
    with pytest.raises(Cancelled):
        push(world, end=end)
    assert "1" not in world.registry.repository("a").manifests


def test_an_image_that_goes_while_it_is_pushed(world: World) -> None:
    """It arrives whole, and nothing of it stays here."""
    load(world, "here:1/a:1", tar("x"), tar("y"))
    removed: list[str] = []

    def remove(step: Step) -> None:
        if step.status == "Preparing" and not removed:
            removed.extend(one.deleted for one in world.images.remove("here:1/a:1", lambda _: [], force=True))

    world.images.push(parse_reference("here:1/a:1"), Credentials(), remove, Cancellation())
    assert removed
    assert set(world.content.list()) == set()
    assert world.snapshots.layers() == ()
    pull(world, "here:1/a:1")
    assert len(world.images.inspect("here:1/a:1").diff_ids) == 2


def test_what_a_push_makes_is_never_an_orphan(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    load(world, "here:1/a:1", tar("x"))
    catalog = world.images._catalog
    found: list[str] = []
    put = Content.put

    def look(content: Content, data: bytes, claim: Callable[[Digest], None] | None = None) -> Digest:
        digest = put(content, data, claim)
        found.extend(catalog.orphans())
        return digest

    monkeypatch.setattr(Content, "put", look)
    push(world)
    assert found == []


def lowest_blob(world: World, *layers: bytes) -> str:
    """The lowest layer's blob of here:1/a:1 as it is sent: another registry has it already."""
    load(world, "there:1/a:1", *layers)
    load(world, "here:1/a:1", *layers)
    push(world, "there:1/a:1")
    _, data = world.registry.repository("a", "there:1").manifests["1"]
    return str(json.loads(data)["layers"][0]["digest"])


def test_a_layer_that_breaks_off_is_sent_again(world: World) -> None:
    world.registry.broken[lowest_blob(world, tar("one"))] = Broken(times=2)
    steps = push(world)
    waited = [status for status in statuses(steps, tar("one")) if status.startswith("Retrying")]
    seconds = (5, 4, 3, 2, 1, *range(10, 0, -1))
    assert waited == [f"Retrying in {left} second{'s' if left != 1 else ''}" for left in seconds]
    assert statuses(steps, tar("one"))[-1] == "Pushed"


def test_a_layer_that_always_breaks_off(world: World) -> None:
    blob = lowest_blob(world, tar("one"), tar("two"))
    world.registry.broken[blob] = Broken(times=100)
    with pytest.raises(Unreachable, match="broken pipe"):
        push(world)
    assert world.registry.broken[blob].times == 95
    assert not world.registry.repository("a").manifests
