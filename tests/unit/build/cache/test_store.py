from collections.abc import Sequence

import pytest

from sampan.build.cache.records import Entry, Kind, identity
from sampan.build.cache.session import Session
from sampan.build.keys import Key
from sampan.errors import System
from sampan.images.catalog import LayerRecord
from sampan.images.references import parse_reference
from sampan.images.removal import ImageUser
from sampan.spec.ids import Digest, ImageId
from sampan.spec.oci_image import Image, RootFs, encode_image
from sampan.state.store import Change
from tests.unit.build.cache.cached import CacheWorld, built, graph_of, known

KEY, OTHER = Key("sha256:" + "1" * 64), Key("sha256:" + "2" * 64)


def nobody(image: ImageId) -> Sequence[ImageUser]:
    return ()


def keep(world: CacheWorld, key: Key = KEY, name: str = "f", inputs: tuple[Key, ...] = ()) -> LayerRecord:
    with world.images.catalog.lease() as lease:
        layer = world.layer(lease, (), name)
        world.cache.keep(key, Entry(layers=(layer,), own=1, text=name, inputs=inputs))
    return layer


def found(world: CacheWorld, key: Key = KEY) -> bool:
    with world.images.catalog.lease() as lease:
        return world.cache.find(key, lease) is not None


def image_of(world: CacheWorld, layer: LayerRecord) -> ImageId:
    catalog = world.images.catalog
    with catalog.lease() as lease:
        document = Image(architecture="amd64", os="linux", rootfs=RootFs(diff_ids=[layer.diff_id]))
        image = ImageId(world.content.put(encode_image(document), lease.take))
        catalog.add(image, [layer], [parse_reference("docker.io/library/made:latest")])
    return image


def test_what_is_kept_is_found_at_once_and_after_a_start(world: CacheWorld) -> None:
    layer = keep(world)
    assert found(world)
    world.cache.settle()
    world.again()
    assert found(world)
    record = world.cache.peek(KEY)
    assert record is not None
    assert (record.layers, record.own, record.size, record.text) == ((layer,), 1, 1000, "f")


def test_what_was_not_settled_is_forgotten_with_its_layers(world: CacheWorld) -> None:
    keep(world)
    world.again()
    assert not found(world)
    assert not list(world.content.list())
    assert world.snapshots.layers() == ()


def test_a_record_keeps_its_layer_when_the_image_goes(world: CacheWorld) -> None:
    layer = keep(world)
    image = image_of(world, layer)
    record = world.cache.peek(KEY)
    assert record is not None
    assert world.cache.is_shared(record)
    world.images.remove("made", nobody)
    assert not world.images.catalog.has(image)
    assert not world.cache.is_shared(record)
    assert found(world)
    assert world.images.catalog.orphans() == []


def test_an_image_keeps_its_layer_when_the_record_goes(world: CacheWorld) -> None:
    layer = keep(world)
    image_of(world, layer)
    dropped = world.cache.drop([KEY])
    assert (dropped.keys, dropped.freed) == ((KEY,), 0)
    assert not found(world)
    assert world.content.has(Digest(layer.blob))


def test_a_record_that_goes_takes_what_only_it_needed(world: CacheWorld) -> None:
    layer = keep(world)
    world.cache.settle()
    dropped = world.cache.drop([KEY, OTHER])
    assert dropped.keys == (KEY,)
    assert dropped.freed == 1000 + layer.size
    assert not list(world.content.list())
    world.again()
    assert not found(world)


def test_two_records_of_one_layer_are_counted_each(world: CacheWorld) -> None:
    keep(world)
    layer = keep(world, OTHER)
    assert world.cache.drop([KEY]).freed == 0
    assert found(world, OTHER)
    assert world.cache.drop([OTHER]).freed == 1000 + layer.size


@pytest.mark.parametrize("lost", ["blob", "layer"])
def test_a_record_that_lost_something_is_not_found_and_can_be_made_anew(world: CacheWorld, lost: str) -> None:
    layer = keep(world)
    if lost == "blob":
        world.content.delete(Digest(layer.blob))
    else:
        record = world.cache.peek(KEY)
        assert record is not None
        assert record.chain is not None
        world.snapshots.remove_layer(record.chain)
    assert not found(world)
    keep(world)
    assert found(world)
    world.cache.settle()
    assert world.cache.drop([KEY]).freed == 1000 + layer.size, "counted once"


def test_a_find_is_a_use_of_all_below(world: CacheWorld) -> None:
    keep(world)
    keep(world, OTHER, "g", inputs=(KEY,))
    before = world.cache.records()
    assert found(world, OTHER)
    assert found(world, OTHER)
    world.cache.settle()
    world.again()
    after = world.cache.records()
    assert [after[key].uses for key in (KEY, OTHER)] == [0, 2]
    assert after[KEY].used > before[KEY].used


def test_what_a_build_found_stays_until_it_ends(world: CacheWorld) -> None:
    layer = keep(world)
    with Session(world.cache) as session:
        assert session.find(KEY) is not None
        assert world.cache.drop([KEY]).keys == ()
    assert world.cache.drop([KEY]).freed == 1000 + layer.size


def test_a_failed_build_keeps_what_it_made(world: CacheWorld) -> None:
    plan = known(graph_of())
    with pytest.raises(ZeroDivisionError), Session(world.cache) as session:
        session.planned(plan.graph, plan.keys, plan.contents)
        session.keep(KEY, [world.layer(session.lease, (), "f")], 1)
        raise ZeroDivisionError
    world.again()
    assert found(world)


def test_a_commit_that_fails_is_made_up_for_by_the_next(world: CacheWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    keep(world)
    failing = world.store.commit

    def commit(changes: Sequence[Change]) -> object:
        monkeypatch.setattr(world.store, "commit", failing)
        raise System("the disk is full")

    monkeypatch.setattr(world.store, "commit", commit)
    with pytest.raises(System):
        world.cache.settle()
    assert found(world)
    world.cache.settle()
    world.again()
    assert found(world)


def test_a_build_is_made_once(world: CacheWorld) -> None:
    plan = known(graph_of())
    assert len(built(world, plan)) == 3
    assert built(world, plan) == []
    world.again()
    assert built(world, plan) == []
    kinds = sorted(record.kind for record in world.cache.records().values())
    assert kinds == [Kind.INTERNAL, Kind.REGULAR, Kind.REGULAR, Kind.REGULAR, Kind.LOCAL]


def test_ids_are_as_long_as_buildkits() -> None:
    assert identity(KEY) == "1" * 25
