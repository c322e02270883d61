"""The counts against the records they come from, and lists that read no blob."""

import contextlib
import random
from collections import Counter
from pathlib import Path

import pytest

from sampan.content.store import Content
from sampan.errors import Conflict, System
from sampan.images import host
from sampan.images.catalog import BrokenImage, Catalog
from sampan.images.committing import CommitWish
from sampan.spec.ids import Digest, ImageId
from sampan.spec.oci_image import ImageConfig
from tests.unit.images.memory import World
from tests.unit.images.test_images import layer, load, nobody


def _agrees(world: World) -> None:
    """Every number of the living ledger is what a fresh one counts from the records."""
    living = world.images._catalog
    fresh = Catalog(world.store, world.content, world.snapshots)
    fresh.add_fixed(host.ID, host.CONFIG, host.REFERENCE)
    assert living.images() == fresh.images()
    counted: Counter[str] = Counter()
    for image in fresh.images():
        assert living.facts(image) == fresh.facts(image)
        assert sorted(living.children(image)) == sorted(fresh.children(image))
        assert living.references_of(image) == fresh.references_of(image)
        counted.update(fresh.facts(image).needs)
    assert set(living.ledger._users) == set(counted)
    assert all(living.ledger.users(name) == number for name, number in counted.items())
    assert living.references() == fresh.references()
    stored = {*world.content.list(), *(one.chain for one in world.snapshots.layers())}
    assert stored == set(living.ledger._users) - {host.ID, host.CHAIN}, "no orphan, and nothing missing"


def test_it_follows_every_change(world: World) -> None:
    dice = random.Random(4)
    for step in range(60):
        names = [name for summary in world.images.list() for name in summary.repo_tags if name != "host:latest"]
        match dice.choice(("load", "load", "tag", "remove", "commit", "prune")):
            case "load":
                pieces = [layer(name) for name in dice.sample("xyz", dice.randint(1, 3))]
                load(world, f"a:{dice.randrange(4)}", *pieces, config={"Cmd": [str(dice.randrange(3))]})
            case "tag" if names:
                world.images.tag(dice.choice(names), "b", str(dice.randrange(3)))
            case "remove" if names:
                with contextlib.suppress(Conflict):  # another image was made of it
                    world.images.remove(dice.choice(names), nobody, force=True)
            case "commit" if names:
                parent = world.images.resolve(dice.choice(names))
                world.images.commit(iter([layer(str(step))]), CommitWish(parent, ImageConfig()), "c", str(step % 3))
            case "prune":
                world.images.prune({}, nobody)
            case _:
                continue
        _agrees(world)


def test_shared_sizes(world: World) -> None:
    first = load(world, "a:1", layer("x", b"12345"), layer("y", b"123"))
    second = load(world, "b:1", layer("x", b"12345"), layer("z", b"1"))
    assert {**world.images.shared_sizes(), host.ID: 0} == {first: 5, second: 5, host.ID: 0}
    world.images.remove("b:1", nobody)
    assert world.images.shared_sizes()[first] == 0


def test_lists_read_no_blob(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(300):
        load(world, f"a:{number}", config={"Cmd": [str(number)]})

    def refuse(*_: object) -> bytes:
        raise AssertionError("a list has read a blob")

    monkeypatch.setattr(Content, "read", refuse)
    monkeypatch.setattr(Content, "open", refuse)
    assert len(world.images.list()) == 301
    assert len(world.images.shared_sizes()) == 301
    assert len(world.images.remove("a:7", nobody)) == 2


def test_a_commit_that_fails_is_not_counted(world: World) -> None:
    load(world, "a:1")
    world.store.close()
    with pytest.raises(System, match="closed"):
        load(world, "b:1", layer("other"))
    assert [one.repo_tags for one in world.images.list() if one.id != host.ID] == [("a:1",)]
    catalog = world.images._catalog
    assert not [name for name in world.content.list() if not catalog.ledger.users(name)]


@pytest.mark.parametrize("how", ["lost", "changed"])
def test_a_broken_configuration_hides_no_image_and_loses_no_layer(world: World, tmp_path: Path, how: str) -> None:
    broken, whole = load(world, "a:1", layer("x", b"12345")), load(world, "b:1", layer("y"))
    world.close()
    path = tmp_path / "content/blobs/sha256" / broken.removeprefix("sha256:")
    path.unlink() if how == "lost" else path.write_bytes(b"{}")
    again = World(tmp_path, world.snapshots)
    try:
        assert again.images.resolve("a:1") == broken
        sizes = {one.id: one.size for one in again.images.list() if one.id != host.ID}
        assert sizes == {broken: 5, whole: 7}
        for call in (again.images.inspect, again.images.history, lambda name: again.images.save([name])):
            with pytest.raises(BrokenImage, match=f"image {broken} is damaged: content .*sampan system check"):
                call("a:1")
        assert len(again.snapshots.layers()) == 2
        again.images.remove("a:1", nobody)
        assert len(again.snapshots.layers()) == 1
        assert set(again.content.list()) == set(_needs(again, whole))
    finally:
        again.close()


def _needs(world: World, image: ImageId) -> set[Digest]:
    record = world.images._catalog.record(image)
    return {Digest(image), *(Digest(part.blob) for part in record.layers)}
