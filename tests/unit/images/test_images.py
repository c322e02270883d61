"""Images by Docker's rules, on layers in memory."""

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from sampan.errors import Conflict, Forbidden, InvalidParameter, NotFound
from sampan.images import host
from sampan.images.ahead import LayerProgress
from sampan.images.committing import CommitWish
from sampan.images.details import ListFilter, parse_filters
from sampan.images.events import ImageAction
from sampan.images.loading import Loaded, Message
from sampan.images.references import parse_reference
from sampan.images.removal import ImageUser, Removed
from sampan.spec.ids import ContainerId, Digest, ImageId
from sampan.spec.oci_image import ImageConfig
from tests.archives import Layer, docker_archive
from tests.unit.images.memory import World

CONTAINER = ContainerId("c" * 64)


def layer(name: str = "file", content: bytes = b"content") -> bytes:
    made = Layer()
    made.file(name, content)
    return made.tar()


def nobody(image: ImageId) -> Sequence[ImageUser]:
    return ()


def stopped(image: ImageId) -> Sequence[ImageUser]:
    return (ImageUser(CONTAINER, running=False),)


def running(image: ImageId) -> Sequence[ImageUser]:
    return (ImageUser(CONTAINER, running=True),)


def load(world: World, tag: str = "a:1", *layers: bytes, config: Mapping[str, object] | None = None) -> ImageId:
    archive = docker_archive(tag, layers or (layer(),), config or {"Cmd": ["sh"]})
    (loaded,) = [event for event in world.images.load(io.BytesIO(archive)) if isinstance(event, Loaded)]
    return loaded.image


def blobs(world: World) -> set[str]:
    return set(world.content.list())


def names(world: World) -> list[tuple[str, ...]]:
    return [summary.repo_tags for summary in world.images.list() if summary.id != host.ID]


def test_load_reports_what_docker_reports(world: World) -> None:
    events = list(world.images.load(io.BytesIO(docker_archive("a:1", [layer()], {}))))
    diff = "sha256:" + hashlib.sha256(layer()).hexdigest()
    assert events[0] == LayerProgress(diff, len(layer()), len(layer()))  # type: ignore[arg-type]
    assert events[1] == Message("Loaded image: a:1")
    assert isinstance(events[2], Loaded)
    assert world.events == [(ImageAction.LOAD, events[2].image, events[2].image)]


def test_a_name_moves_and_the_old_image_stays_nameless(world: World) -> None:
    old = load(world, "a:1")
    messages = [
        event.text
        for event in world.images.load(io.BytesIO(docker_archive("a:1", [layer("other")], {})))
        if isinstance(event, Message)
    ]
    assert messages == [
        f"The image a:1 already exists, renaming the old one with ID {old} to empty string",
        "Loaded image: a:1",
    ]
    assert sorted(names(world)) == [(), ("a:1",)]


def test_everything_is_found_again_after_a_restart(world: World, tmp_path: Path) -> None:
    image = load(world)
    world.close()
    again = World(tmp_path, world.snapshots)
    assert again.images.resolve("a:1") == image
    assert again.images.config(image).cmd == ["sh"]
    assert blobs(again) == blobs(world)
    again.close()


@pytest.mark.parametrize("how", ["a:1", "docker.io/library/a:1", "id", "sha256:id", "prefix", "sha256:prefix"])
def test_resolve(world: World, how: str) -> None:
    image = load(world)
    digits = image.removeprefix("sha256:")
    text = {"id": digits, "sha256:id": image, "prefix": digits[:5], "sha256:prefix": image[:12]}.get(how, how)
    assert world.images.resolve(text) == image


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("busybox", "No such image: busybox:latest"),
        ("quay.io/a/b:c", "No such image: quay.io/a/b:c"),
        ("sha256:" + "0" * 64, "No such image: sha256:" + "0" * 64),
        ("0" * 64, "No such image: sha256:" + "0" * 64),
        ("0000", "No such image: 0000:latest"),
    ],
)
def test_no_such_image(world: World, text: str, message: str) -> None:
    with pytest.raises(NotFound) as caught:
        world.images.resolve(text)
    assert str(caught.value) == message


def test_tag_and_untag(world: World) -> None:
    image = load(world)
    assert world.images.tag("a:1", "b").familiar == "b:latest"
    assert world.images.tag(image[:15], "localhost:5000/c", "t").familiar == "localhost:5000/c:t"
    assert names(world) == [("a:1", "b:latest", "localhost:5000/c:t")]
    assert world.images.remove("b", nobody) == [Removed(untagged="b:latest")]
    assert world.images.resolve("a:1") == image
    with pytest.raises(InvalidParameter, match="digest reference"):
        world.images.tag("a:1", "b@sha256:" + "0" * 64)


def test_the_last_name_takes_the_image_along(world: World) -> None:
    image = load(world, "a:1", layer("x"), layer("y"))
    chains = [one.chain for one in world.snapshots.layers()]
    removed = world.images.remove("a:1", nobody)
    assert removed == [
        Removed(untagged="a:1"),
        Removed(deleted=image),
        Removed(deleted=chains[1]),
        Removed(deleted=chains[0]),
    ]
    assert blobs(world) == set()
    assert [action for action, _, _ in world.events][-2:] == [ImageAction.UNTAG, ImageAction.DELETE]


def test_what_another_image_shares_stays(world: World) -> None:
    load(world, "a:1", layer("x"), layer("y"))
    load(world, "b:1", layer("x"), layer("z"))
    before = len(world.snapshots.layers())
    world.images.remove("a:1", nobody)
    assert (before, len(world.snapshots.layers())) == (3, 2)
    assert list(world.images.save(["b:1"]))


def test_conflicts_in_dockers_words(world: World) -> None:
    image = load(world)
    short = image[7:19]
    for users, text, force, message in (
        (stopped, "a:1", False, (f'conflict: unable to remove repository reference "a:1" (must force) - container '
         f"{CONTAINER[:12]} is using its referenced image {short}")),
        (running, "a:1", False, (f'conflict: unable to remove repository reference "a:1" (must force) - container '
         f"{CONTAINER[:12]} is using its referenced image {short}")),
        (stopped, short, False, (f"conflict: unable to delete {short} (must be forced) - image is being used by stopped "
         f"container {CONTAINER[:12]}")),
        (running, short, True, (f"conflict: unable to delete {short} (cannot be forced) - image is being used by running "
         f"container {CONTAINER[:12]}")),
    ):  # fmt: skip
        with pytest.raises(Conflict) as caught:
            world.images.remove(text, users, force)
        assert str(caught.value) == message
    assert names(world) == [("a:1",)]
    world.images.tag("a:1", "b:1")
    with pytest.raises(
        Conflict, match=rf"unable to delete {short} \(must be forced\) - image is referenced in multiple"
    ):
        world.images.remove(short, nobody)
    assert len(world.images.remove(short, nobody, force=True)) == 4


def test_force_removes_the_image_of_a_stopped_container(world: World) -> None:
    load(world)
    assert next(one.untagged for one in world.images.remove("a:1", stopped, force=True)) == "a:1"
    assert names(world) == []


def test_a_container_s_layers_stay_when_its_image_goes(world: World) -> None:
    image = load(world)
    world.snapshots.prepare("c", world.images.chain(image))
    removed = world.images.remove("a:1", stopped, force=True)
    assert [one.deleted for one in removed if one.deleted] == [image]
    assert len(world.snapshots.layers()) == 1
    world.images.container_gone()
    assert len(world.snapshots.layers()) == 1
    world.snapshots.remove("c")
    world.images.container_gone()
    assert world.snapshots.layers() == ()


def test_prune(world: World) -> None:
    kept = load(world, "a:1", layer("x"))
    old = load(world, "b:1", layer("y", b"12345"))
    load(world, "b:1", layer("z"))
    blobs_before = blobs(world)
    sizes = {digest: world.content.size(Digest(digest)) for digest in blobs_before}
    removed, freed = world.images.prune({}, nobody)
    gone = blobs_before - blobs(world)
    assert old in gone
    assert freed == 5 + sum(sizes[digest] for digest in gone), "the layer's files, its tar, and the configuration"
    assert len([one for one in removed if one.deleted]) == 2
    removed, freed = world.images.prune({"dangling": ["false"]}, lambda image: stopped(image) if image == kept else ())
    assert names(world) == [("a:1",)]
    with pytest.raises(InvalidParameter, match="invalid filter 'reference'"):
        world.images.prune({"reference": ["a"]}, nobody)


def test_filters(world: World) -> None:
    load(world, "a:1", layer("x"), config={"Labels": {"k": "v"}})
    load(world, "team/b:2", layer("y"))

    def found(**filters: list[str]) -> list[tuple[str, ...]]:
        wanted = parse_filters(filters)
        return [one.repo_tags for one in world.images.list(wanted) if one.id != host.ID]

    assert found(label=["k=v"]) == [("a:1",)]
    assert found(label=["k", "other"]) == []
    assert found(reference=["team/*"]) == [("team/b:2",)]
    assert found(reference=["*"]) == [("a:1",)]
    assert found(dangling=["true"]) == []
    with pytest.raises(InvalidParameter, match="invalid filter 'colour'"):
        found(colour=["red"])
    with pytest.raises(NotFound):
        found(before=["nothing"])


def test_filters_by_time(world: World) -> None:
    ids = {}
    for day in (1, 2, 3):
        archive = docker_archive(f"day:{day}", [layer(str(day))], {}).replace(b"1970-01-01", f"2020-01-0{day}".encode())
        ids[day] = _loaded(world, archive, f"day:{day}")
    ids[0] = _loaded(world, _undated(), "undated:1")

    def found(**filters: list[str]) -> list[str]:
        wanted = parse_filters(filters)
        return [one.repo_tags[0] for one in world.images.list(wanted) if one.id != host.ID]

    assert found() == ["day:3", "day:2", "day:1", "undated:1"]
    assert found(before=["day:3"]) == ["day:2", "day:1"]
    assert found(before=["day:3", "day:2"]) == ["day:1"]
    assert found(since=["day:1"]) == ["day:3", "day:2"]
    assert found(since=["day:1", "day:2"]) == ["day:3"]
    assert found(before=["day:3"], since=["day:1"]) == ["day:2"]
    assert found(until=["2020-01-02T12:00:00Z"]) == ["day:2", "day:1"]
    assert found(until=["2020-01-02T12:00:00Z", "2020-01-01T12:00:00Z"]) == ["day:1"]
    assert found(until=["2020-01-02T12:00:00Z"], before=["day:2"]) == ["day:1"]
    assert found(before=["undated:1"]) == found(), "an image without a date is before and since nothing"
    assert found(since=["undated:1"]) == found()
    removed, _ = world.images.prune({"dangling": ["0"], "until": ["2020-01-02T12:00:00Z"]}, nobody)
    assert [one.untagged for one in removed if one.untagged] == ["day:2", "day:1"]
    for filters in ({"label!": ["x"]}, {"colour": ["red"]}, {"dangling": ["maybe"]}):
        with pytest.raises(InvalidParameter, match=f"invalid filter '{next(iter(filters))}"):
            parse_filters(filters)
    with pytest.raises(InvalidParameter, match="more than one until filter"):
        world.images.prune({"until": ["1h", "2h"]}, nobody)


def test_the_epoch_is_a_date(world: World) -> None:
    """Reproducible builds write it."""
    load(world, "epoch:1")
    _loaded(world, _undated(), "undated:1")

    def found(**filters: list[str]) -> list[str]:
        return [one.repo_tags[0] for one in world.images.list(parse_filters(filters)) if one.id != host.ID]

    assert found(until=["1h"]) == ["epoch:1"]
    assert found(before=["epoch:1"]) == found(since=["epoch:1"]) == []


def test_a_name_that_would_be_taken_for_a_digest(world: World) -> None:
    load(world, "a:1")
    for name, tag in (("sha256:abc", "up"), ("sha256", ""), ("docker.io/library/sha256", "1")):
        with pytest.raises(
            InvalidParameter, match="refusing to create an ambiguous tag using digest algorithm as name"
        ):
            world.images.tag("a:1", name, tag)
    with pytest.raises(InvalidParameter, match="ambiguous tag"):
        list(world.images.load(io.BytesIO(docker_archive("sha256:1", [layer("b")], {}))))
    assert world.images.tag("a:1", "here:1/sha256", "1").familiar == "here:1/sha256:1"


def _loaded(world: World, archive: bytes, tag: str) -> ImageId:
    # The date stands in the configuration, whose file's name is no digest any more: nobody asks for that in this form.
    list(world.images.load(io.BytesIO(archive)))
    return world.images.resolve(tag)


def _undated() -> bytes:
    return docker_archive("undated:1", [layer("undated")], {}).replace(b'"created": "1970', b'"xreated": "1970')


def test_parents_are_listed_on_demand(world: World) -> None:
    parent = load(world, "a:1")
    child, _ = world.images.commit(iter([layer("more")]), CommitWish(parent, ImageConfig()), "", "")
    world.images.tag(child, "b", "1")
    world.images.remove("a:1", nobody)
    assert names(world) == [("b:1",)]
    every = [one.repo_tags for one in world.images.list(every=True) if one.id != host.ID]
    assert sorted(every) == [(), ("b:1",)]
    dangling = parse_filters({"dangling": ["true"]})
    assert world.images.list(dangling, every=True) == (), "an image that another was made from is not dangling"


@pytest.mark.parametrize(
    ("asked", "users", "force", "left", "untagged", "deleted"),
    [
        # by name: the name goes, quietly the image where nothing is in the way
        ("a:1", nobody, False, 0, ["a:1"], True),
        ("a:1", stopped, True, 0, ["a:1"], True),
        ("a:1", running, True, 1, ["a:1"], False),
        # by id with one name
        ("id", nobody, False, 0, ["a:1"], True),
        ("id", stopped, True, 0, ["a:1"], True),
    ],
)
def test_what_goes(
    world: World,
    asked: str,
    users: Callable[[ImageId], Sequence[ImageUser]],
    force: bool,
    left: int,
    untagged: list[str],
    deleted: bool,
) -> None:
    """moby 28: daemon/images/image_delete.go, ImageDelete."""
    image = load(world)
    removed = world.images.remove(image if asked == "id" else asked, users, force)
    assert [one.untagged for one in removed if one.untagged] == untagged
    assert (image in [one.deleted for one in removed]) == deleted
    assert len(world.images.list()) - 1 == left


def test_a_name_goes_though_another_image_was_made_from_its_image(world: World) -> None:
    parent = load(world, "a:1")
    child, _ = world.images.commit(iter([layer("more")]), CommitWish(parent, ImageConfig()), "b", "1")
    short = parent[7:19]
    with pytest.raises(Conflict, match=rf"unable to delete {short} \(cannot be forced\) - image has dependent child"):
        world.images.remove(short, nobody, force=True)
    assert world.images.remove("a:1", nobody) == [Removed(untagged="a:1")]
    gone = [one.deleted for one in world.images.remove("b:1", nobody) if one.deleted]
    assert gone[0] == child
    assert parent in gone, "an unnamed parent goes with its last child"


def test_a_tag_takes_the_digests_of_its_repository_along(world: World) -> None:
    image = load(world, "a:1")
    catalog = world.images._catalog
    for name in ("a", "b"):
        catalog.commit(catalog.set_reference(parse_reference(f"{name}@sha256:" + "1" * 64), image))
    world.events.clear()
    removed = world.images.remove("a:1", nobody)
    assert [one.untagged for one in removed] == ["a:1", "a@sha256:" + "1" * 64], "b's digest keeps the image"
    assert [action for action, _, _ in world.events] == [ImageAction.UNTAG], "as in Docker, told once"
    assert [one.untagged for one in world.images.remove("b@sha256:" + "1" * 64, nobody) if one.untagged]


def test_platforms(world: World) -> None:
    image = load(world)
    for wanted in ("linux/arm64", "windows/amd64", "linux/arm/v7"):
        with pytest.raises(NotFound) as caught:
            world.images.remove("a:1", nobody, platform=wanted)
        assert str(caught.value) == (
            f"image with reference a:1 was found but its platform (linux/amd64) does not match the specified platform ({wanted})"
        )
    world.images.check_platform(image, "linux/amd64")
    assert world.images.remove("a:1", nobody, platform="linux/amd64")


def test_one_prune_at_a_time(world: World) -> None:
    load(world)

    def users(image: ImageId) -> Sequence[ImageUser]:
        with pytest.raises(Conflict, match="a prune operation is already running"):
            world.images.prune({}, nobody)
        return ()

    removed, _ = world.images.prune({"dangling": ["false"]}, users)
    assert removed
    assert world.images.prune({}, nobody) == ([], 0)


def test_inspect_and_history(world: World) -> None:
    image = load(world, "a:1", layer("x", b"12345"), layer("y", b"123"))
    details = world.images.inspect("a:1")
    assert (details.id, details.size, details.repo_tags, details.repo_digests) == (image, 8, ("a:1",), ())
    assert details.created == "1970-01-01T00:00:00Z"
    assert len(details.diff_ids) == 2
    assert details.last_tagged_ns > 0
    first, second = world.images.history("a:1")
    assert (first.id, first.tags, first.size) == (image, ("a:1",), 3)
    assert (second.id, second.tags, second.size) == ("<missing>", (), 5)


def test_save_and_load_again(world: World, tmp_path: Path) -> None:
    image = load(world, "a:1", layer("x"))
    world.images.tag("a:1", "team/b:2")
    archive = b"".join(world.images.save(["a:1", "team/b:2"]))
    assert archive == b"".join(world.images.save(["a:1", "team/b:2"]))
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        members = {member.name: tar.extractfile(member) for member in tar.getmembers()}
    (listed,) = json.loads((members["manifest.json"] or io.BytesIO()).read())
    assert listed["RepoTags"] == ["a:1", "team/b:2"]
    assert listed["Config"] == "blobs/sha256/" + image.removeprefix("sha256:")
    for name, content in members.items():
        if name.startswith("blobs/sha256/") and content is not None:
            assert hashlib.sha256(content.read()).hexdigest() == name.rpartition("/")[2]
    (tmp_path / "other").mkdir()
    other = World(tmp_path / "other")
    list(other.images.load(io.BytesIO(archive)))
    assert other.images.resolve("team/b:2") == image
    other.close()


def test_what_save_cannot_give(world: World) -> None:
    with pytest.raises(NotFound, match="No such image: nothing"):
        world.images.save(["nothing"])
    with pytest.raises(NotFound, match="reference does not exist"):
        world.images.save(["nothing:here"])
    with pytest.raises(Forbidden, match="host"):
        world.images.save(["host"])


def test_import(world: World) -> None:
    changes = ['CMD ["sh"]', "ENV A=b", "EXPOSE 80", "LABEL x=y"]
    image = world.images.import_(io.BytesIO(gzip.compress(layer())), "a", "t", changes, "from me")
    details = world.images.inspect("a:t")
    assert (details.id, details.comment, details.size) == (image, "from me", 7)
    assert (details.config.cmd, details.config.env, details.config.labels) == (["sh"], ["A=b"], {"x": "y"})
    assert list(details.config.exposed_ports or ()) == ["80/tcp"]
    saved = b"".join(world.images.save(["a:t"]))
    assert layer() in saved, "layers are saved as plain tars"
    with pytest.raises(InvalidParameter, match="RUN is not a valid change command"):
        world.images.import_(io.BytesIO(layer()), changes=["RUN x"])


def test_the_image_host(world: World) -> None:
    assert world.images.resolve("host") == host.ID
    summary = world.images.list()[-1]
    assert (summary.repo_tags, summary.size) == (("host:latest",), 0)
    assert world.images.inspect("host").diff_ids == (host.DIFF_ID,)
    assert len(world.images.history("host")) == 1
    world.images.tag("host", "mine")
    assert world.images.remove("mine", nobody) == [Removed(untagged="mine:latest")]
    assert world.images.size(host.ID) == 0
    for text in ("host", host.ID[7:19]):
        with pytest.raises(Conflict):
            world.images.remove(text, nobody, force=True)
    load(world)
    with pytest.raises(InvalidParameter, match="reserved"):
        world.images.tag("a:1", "host")
    with pytest.raises(InvalidParameter, match="reserved"):
        load(world, "host:latest")
    with pytest.raises(InvalidParameter, match="reserved"):
        world.images.import_(io.BytesIO(layer()), "host")


def test_nobody_brings_an_image_that_stands_on_host(world: World) -> None:
    """The chain of the machine's root in a foreign configuration: refused, whatever the archive calls a layer."""
    config = json.dumps({"os": "linux", "rootfs": {"type": "layers", "diff_ids": [host.DIFF_ID]}}).encode()
    archive = Layer()
    archive.file("c.json", config)
    archive.file("layer.tar", layer())
    archive.file(
        "manifest.json", json.dumps([{"Config": "c.json", "RepoTags": ["x:1"], "Layers": ["layer.tar"]}]).encode()
    )
    with pytest.raises(InvalidParameter, match="host"):
        list(world.images.load(io.BytesIO(archive.tar())))
    assert blobs(world) == set()


def manifest(**entry: object) -> bytes:
    return json.dumps([entry]).encode()


CONFIG = json.dumps({"os": "linux", "rootfs": {"type": "layers", "diff_ids": []}}).encode()


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"manifest.json": b"{"},
        {"manifest.json": b"[" * 100_000},
        {"manifest.json": b"[3]"},
        {"manifest.json": b" " * (5 << 20)},
        {"manifest.json": manifest(Config="missing.json", Layers=[])},
        {"manifest.json": manifest(Config="../../../../etc/passwd", Layers=[])},
        {"manifest.json": manifest(Config="/etc/passwd", Layers=[])},
        {"manifest.json": manifest(Config="manifest.json", Layers=[])},
        {"c": CONFIG, "manifest.json": manifest(Config="c", Layers=["../../x"])},
        {"c": CONFIG, "manifest.json": manifest(Config="c", Layers=["c"])},
        {"c": CONFIG, "manifest.json": manifest(Config="c", Layers=[], RepoTags=["../x"])},
        {"c": CONFIG, "manifest.json": manifest(Config="c", Layers=[], RepoTags=["x@sha256:" + "0" * 64])},
        {"c": b'{"os":"windows"}', "manifest.json": manifest(Config="c", Layers=[])},
        {"c": b'{"rootfs":{"diff_ids":["sha256:x"]}}', "l": b"", "manifest.json": manifest(Config="c", Layers=["l"])},
        {"c": b'{"config":{"Env":["HOME_SECRET"]}}', "manifest.json": manifest(Config="c", Layers=[])},
        {"c": b'{"config":{"Env":["*"]}}', "manifest.json": manifest(Config="c", Layers=[])},
        {"c": b'{"config":{"Env":["A\\u0000=b"]}}', "manifest.json": manifest(Config="c", Layers=[])},
        {"c": b'{"config":3}', "manifest.json": manifest(Config="c", Layers=[])},
        {"blobs/sha256/" + "0" * 64: b"wrong"},
        {"blobs/sha256/../../x": b"x"},
        {"index.json": b'{"manifests":[{"digest":"sha256:../../etc/passwd"}]}'},
        {"index.json": b'{"manifests":[{"digest":"sha256:' + b"0" * 64 + b'"}]}'},
        {"index.json": b'{"manifests":[],"config":{},"layers":[]}'},
    ],
)
def test_bad_archives_leave_nothing(world: World, members: dict[str, bytes]) -> None:
    archive = Layer()
    for name, content in members.items():
        archive.file(name, content)
    with pytest.raises(InvalidParameter):
        list(world.images.load(io.BytesIO(archive.tar())))
    assert blobs(world) == set()
    assert names(world) == []


def test_duplicate_members_are_refused(world: World) -> None:
    archive = Layer()
    archive.file("c", CONFIG)
    archive.file("./c", CONFIG)
    with pytest.raises(InvalidParameter, match="twice"):
        list(world.images.load(io.BytesIO(archive.tar())))


def test_links_inside_the_archive_are_followed_in_it_only(world: World) -> None:
    data = layer()
    digest = "sha256:" + hashlib.sha256(data).hexdigest()
    archive = Layer()
    archive.file("c", json.dumps({"os": "linux", "rootfs": {"type": "layers", "diff_ids": [digest]}}).encode())
    archive.file("one/layer.tar", data)
    archive.symlink("two/layer.tar", "../one/layer.tar")
    archive.symlink("loop", "loop")
    archive.symlink("out", "/etc/passwd")
    archive.file("manifest.json", manifest(Config="c", Layers=["two/layer.tar"], RepoTags=["x:1"]))
    list(world.images.load(io.BytesIO(archive.tar())))
    assert names(world) == [("x:1",)]
    for name in ("loop", "out"):
        bad = Layer()
        bad.symlink("loop", "loop")
        bad.symlink("out", "/etc/passwd")
        bad.file("manifest.json", manifest(Config=name, Layers=[]))
        with pytest.raises(InvalidParameter, match="no member"):
            list(world.images.load(io.BytesIO(bad.tar())))


def test_a_wrong_layer_is_refused(world: World) -> None:
    config = json.dumps({"rootfs": {"diff_ids": ["sha256:" + "0" * 64]}}).encode()
    archive = Layer()
    archive.file("c", config)
    archive.file("l", layer())
    archive.file("manifest.json", manifest(Config="c", Layers=["l"]))
    with pytest.raises(InvalidParameter, match="wrong diff id"):
        list(world.images.load(io.BytesIO(archive.tar())))
    assert blobs(world) == set()


def test_list_filter_defaults_show_everything(world: World) -> None:
    load(world)
    assert len(world.images.list(ListFilter())) == world.images.count() == 2


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"this is no archive", "Error processing tar file(exit status 1): unexpected EOF"),
        (b"x" * 2000, "Error processing tar file(exit status 1): archive/tar: invalid tar header"),
    ],
)
def test_what_is_no_archive(world: World, data: bytes, message: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        list(world.images.load(io.BytesIO(data)))
    assert str(caught.value) == message
