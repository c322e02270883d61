"""What is in use stays: each race is played between the look and the use, at the one moment where it would hurt."""

import hashlib
import io
import tarfile
import threading
from collections.abc import Iterator

import pytest

from sampan.content.store import Content
from sampan.errors import NotFound
from sampan.images.ahead import LayerProgress
from sampan.images.catalog import Catalog, LayerRecord
from sampan.images.committing import CommitWish
from sampan.images.leases import Leases
from sampan.snapshots.protocol import chain_id
from sampan.spec.ids import ChainId, DiffId, Digest, ImageId
from sampan.spec.oci_image import Image, ImageConfig, RootFs, encode_image
from tests.archives import docker_archive
from tests.unit.images.memory import World
from tests.unit.images.test_images import layer, load, nobody


def _whole(world: World, image: ImageId) -> None:
    assert world.content.has(Digest(image))
    for piece in world.images.save([image]):
        assert isinstance(piece, bytes)


def _empty(world: World) -> bool:
    return not list(world.content.list()) and not world.snapshots.layers()


def _catalog(world: World) -> Catalog:
    """Another view of the same store would have leases of its own: what pull is given is the daemon's one catalog."""
    return world.images._catalog


def test_a_slow_save_outlives_its_image(world: World) -> None:
    image = load(world, "a:1", layer("x"), layer("y", b"long" * 1000))
    pieces = world.images.save(["a:1"])
    first = next(pieces)
    removed = world.images.remove(image, nobody, force=True)
    assert [one.deleted for one in removed if one.deleted] == [image], "the layers are being read"
    with pytest.raises(NotFound):
        world.images.resolve("a:1")
    archive = io.BytesIO(first + b"".join(pieces))
    with tarfile.open(fileobj=archive) as tar:
        for member in tar.getmembers():
            if member.name.startswith("blobs/sha256/") and member.isfile():
                data = tar.extractfile(member)
                assert data is not None
                assert hashlib.sha256(data.read()).hexdigest() == member.name.rpartition("/")[2]
    assert _empty(world), "the last reader collects"


def test_a_save_holds_its_image_before_the_first_piece_is_asked_for(world: World) -> None:
    load(world)
    pieces = world.images.save(["a:1"])
    world.images.remove("a:1", nobody)
    assert len(b"".join(pieces)) > 1024
    assert _empty(world)


def test_a_save_that_nobody_reads_holds_nothing(world: World) -> None:
    load(world)
    pieces: Iterator[bytes] | None = world.images.save(["a:1"])
    world.images.remove("a:1", nobody)
    assert not _empty(world)
    pieces = None
    assert pieces is None
    assert _empty(world)


def test_a_prune_in_the_middle_of_a_load(world: World) -> None:
    """Two layers: everything that nobody needs is pruned between the first and the second."""
    old = load(world, "old:1", layer("x"))
    events = world.images.load(io.BytesIO(docker_archive("new:1", [layer("x"), layer("y")], {"Cmd": ["new"]})))
    assert isinstance(next(events), LayerProgress)
    world.images.remove("old:1", nobody, force=True)
    world.images.prune({"dangling": ["false"]}, nobody)
    list(events)
    assert not world.content.has(Digest(old))
    _whole(world, world.images.resolve("new:1"))


def test_the_parent_goes_while_a_commit_reads(world: World) -> None:
    parent = load(world, "a:1", layer("x"))

    def difference() -> Iterator[bytes]:
        world.images.remove("a:1", nobody, force=True)
        yield layer("y")

    image, _ = world.images.commit(difference(), CommitWish(parent, ImageConfig()), "b", "1")
    assert len(world.images.inspect("b:1").diff_ids) == 2
    _whole(world, image)


class Pull:
    """What a pull does with what is there already, one step at a time."""

    def __init__(self, world: World, source: ImageId) -> None:
        self.catalog = _catalog(world)
        self.record = self.catalog.record(source)
        self.parts = self.record.layers
        rootfs = RootFs(diff_ids=[part.diff_id for part in self.parts])
        self.config = encode_image(
            Image(architecture="amd64", os="linux", config=ImageConfig(cmd=["pulled"]), rootfs=rootfs)
        )

    def finish(self, content: Content, layers: list[LayerRecord]) -> ImageId:
        with self.catalog.lease() as lease:
            image = ImageId(content.put(self.config, lease.take))
            self.catalog.add(image, layers, [])
            return image


def _chains(parts: list[LayerRecord]) -> list[ChainId]:
    chains: list[ChainId] = []
    for part in parts:
        chains.append(chain_id(chains[-1] if chains else None, DiffId(part.diff_id)))
    return chains


def test_a_pull_reuses_a_layer_while_its_last_image_goes(world: World) -> None:
    source = load(world, "a:1", layer("x"))
    pull = Pull(world, source)
    with pull.catalog.lease() as lease:
        assert lease.keep_blob(Digest(pull.parts[0].blob))
        assert lease.keep_layer(_chains(pull.parts)[0])
        world.images.remove("a:1", nobody, force=True)
        world.images.prune({"dangling": ["false"]}, nobody)
        image = pull.finish(world.content, list(pull.parts))
    _whole(world, image)
    assert world.images.inspect(image).config.cmd == ["pulled"]
    world.images.remove(image, nobody)
    assert _empty(world)


def test_a_pull_that_looks_too_late_is_told_to_bring_the_layer(world: World) -> None:
    source = load(world, "a:1", layer("x"))
    pull = Pull(world, source)
    with pull.catalog.lease() as lease:
        world.images.remove("a:1", nobody, force=True)
        assert not lease.keep_blob(Digest(pull.parts[0].blob))
        assert not lease.keep_layer(_chains(pull.parts)[0])
        # It brings both: from now on they are its own, though no record names them yet.
        blob, _ = world.content.ingest(io.BytesIO(layer("x")).read, 10**6, claim=lease.take)
        with world.content.open(blob) as tar:
            world.snapshots.apply(None, tar)
        world.images.prune({"dangling": ["false"]}, nobody)
        assert lease.keep_blob(blob)
        assert lease.keep_layer(_chains(pull.parts)[0])
        image = pull.finish(world.content, list(pull.parts))
    _whole(world, image)


def test_a_failed_pull_leaves_what_others_need(world: World) -> None:
    source = load(world, "a:1", layer("x"))
    pull = Pull(world, source)
    with pytest.raises(RuntimeError), pull.catalog.lease() as lease:
        lease.keep_blob(Digest(pull.parts[0].blob))
        world.content.put(b"a manifest", lease.take)
        raise RuntimeError("the registry went away")
    assert len(list(world.content.list())) == 2
    _whole(world, source)


def test_no_moment_between_a_lease_and_what_becomes_of_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever looks for orphans while an operation ends sees its parts held, or gone."""
    catalog = _catalog(world)
    found: list[list[str]] = []
    looking = threading.Thread(target=lambda: found.append(catalog.orphans()))
    release = Leases.release

    def look(leases: Leases, names: set[str]) -> None:
        release(leases, names)
        looking.start()
        looking.join(0.2)  # it waits for the lock, or has found something

    monkeypatch.setattr(Leases, "release", look)
    with catalog.lease() as lease:
        world.content.put(b"half an image", lease.take)
    looking.join()
    assert found == [[]]
    assert _empty(world)


def test_nothing_is_collected_after_a_commit_that_was_not_followed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A record that is durable and of which the ledger could not be told: what it names looks like nobody's."""
    catalog = _catalog(world)

    def no_memory(image: ImageId) -> None:
        raise MemoryError

    with monkeypatch.context() as patched:
        patched.setattr(catalog, "refresh", no_memory)
        with pytest.raises(MemoryError):
            load(world)
    image = catalog.images()[-1]
    assert world.content.has(Digest(image))
    blobs = catalog.record(image).blobs()
    assert blobs
    assert all(world.content.has(Digest(blob)) for blob in blobs)
    assert world.snapshots.layers()
