"""`system check` on a real store that was damaged in each way: what it says, what it mends, and that it is clean then."""

import gzip
import io
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from sampan.content.store import Content
from sampan.images import catalog
from sampan.images.check import Check
from sampan.images.committing import CommitWish
from sampan.images.findings import Examined, Finding, Kind, Verdict
from sampan.images.images import Images
from sampan.images.leases import Lease
from sampan.images.removal import ImageUser
from sampan.snapshots.overlay import OverlaySnapshotter
from sampan.snapshots.vfs import VfsSnapshotter
from sampan.spec.ids import ChainId, ContainerId, Digest, ImageId
from sampan.spec.oci_image import ImageConfig
from sampan.state.store import Put, Store
from tests.archives import Layer, docker_archive
from tests.requires import requires

pytestmark = requires("root", "overlay")


class World:
    """One image of two layers, and one that shares the lower of them."""

    def __init__(self, root: Path, driver: str) -> None:
        self.root = root
        self.driver = driver
        self.open()
        lower, upper, other = Layer(), Layer(), Layer()
        lower.directory("etc")
        lower.file("etc/passwd", b"root:x:0:0\n" * 100)
        lower.symlink("etc/link", "passwd")
        lower.file("etc/gone", b"soon")
        upper.file("etc/.wh.gone", b"")
        upper.file("bin/sh", b"#!" * 5000)
        other.file("other", b"other")
        self.layers = [lower.tar(), upper.tar()]
        self.packed = {0: gzip.compress(lower.tar(), mtime=0)}
        self.archive = docker_archive("a:1", self.layers, {"Cmd": ["sh"]}, self.packed)
        self.load(self.archive)
        self.load(docker_archive("b:1", [self.layers[0], other.tar()], {"Cmd": ["other"]}, self.packed))
        self.image = self.images.resolve("a:1")

    def open(self) -> None:
        self.store = Store(self.root / "db")
        snapshotter = OverlaySnapshotter if self.driver == "overlay" else VfsSnapshotter
        self.snapshots: OverlaySnapshotter | VfsSnapshotter = snapshotter(self.root)
        self.content = Content(self.root / "content")
        self.images = Images(self.store, self.content, self.snapshots)

    def close(self) -> None:
        self.images.close()
        self.snapshots.close()
        self.store.close()

    def restart(self) -> None:
        self.close()
        self.open()

    def load(self, archive: bytes) -> None:
        for _ in self.images.load(io.BytesIO(archive)):
            pass

    def check(self, repair: bool = False, running: bool = False) -> tuple[list[Finding], Verdict]:
        users = [ImageUser(ContainerId("c" * 64), running=True)] if running else []
        *steps, verdict = self.images.check(lambda _: users, repair)
        assert isinstance(verdict, Verdict)
        found = [step for step in steps if isinstance(step, Finding)]
        assert verdict.findings == len(found)
        assert verdict.repaired == sum(step.repaired for step in found)
        assert all(step.current <= step.total for step in steps if isinstance(step, Examined))
        return found, verdict

    def clean(self) -> None:
        found, verdict = self.check()
        assert found == []
        assert (verdict.images, verdict.blobs, verdict.layers) == (2, 5, 3)
        for name in ("a:1", "b:1"):
            assert len(b"".join(self.images.save([name]))) > 1024

    def record(self) -> catalog.ImageRecord:
        return self.images._catalog.record(self.image)

    def blob(self, digest: str) -> Path:
        return self.root / "content/blobs/sha256" / digest.removeprefix("sha256:")

    def chains(self) -> tuple[ChainId, ...]:
        return self.images._catalog.chains(self.image)

    def layer(self, index: int) -> Path:
        return self.root / "layers" / self.driver / self.chains()[index].removeprefix("sha256:")


@pytest.fixture(params=["overlay", "vfs"])
def world(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[World]:
    made = World(tmp_path, request.param)
    yield made
    made.close()


def test_a_whole_store_is_clean(world: World) -> None:
    world.clean()
    found, _ = world.check(repair=True)
    assert found == []
    world.restart()
    world.clean()


def test_an_image_that_is_removed_as_the_check_begins(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    removal = threading.Thread(target=lambda: world.images.remove("a:1", lambda _: ()))
    hold = Check._hold

    def hold_and_remove(check: Check, lease: Lease) -> dict[Digest, int | None]:
        held = hold(check, lease)
        removal.start()
        # Where it may go on, it does.
        removal.join(0.3)
        return held

    monkeypatch.setattr(Check, "_hold", hold_and_remove)
    found, verdict = world.check()
    removal.join()
    assert (found, verdict.images) == ([], 2)


def _truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 10)


def _change(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize(
    ("damage", "problem"), [(_truncate, "truncated: "), (_change, "its bytes were changed"), (Path.unlink, "missing")]
)
def test_a_damaged_layer_blob(world: World, damage: Callable[[Path], None], problem: str, restart: bool) -> None:
    digest = world.record().layers[1].blob
    damage(world.blob(digest))
    if restart:
        world.restart()
    (found,), verdict = world.check()
    assert (found.kind, found.name, found.images, found.repaired) == (Kind.BLOB, digest, ("a:1",), False)
    assert found.problem.startswith(problem)
    (found,), verdict = world.check(repair=True)
    assert (found.repaired, verdict.repaired) == (False, 0), "nobody here has the bytes"
    assert not world.content.has(Digest(digest)), "moved away, so that a pull asks for it"
    assert len(os.listdir(world.root / "content/damaged")) == (0 if damage is Path.unlink else 1)
    (found,), _ = world.check()
    assert found.problem == "missing"
    world.load(world.archive)
    world.clean()


def test_a_blob_that_came_back_in_another_form(world: World) -> None:
    """A pull brings layers compressed that were loaded as they were: the record follows."""
    world.blob(world.record().layers[1].blob).unlink()
    packed = {**world.packed, 1: gzip.compress(world.layers[1])}
    world.load(docker_archive("a:1", world.layers, {"Cmd": ["sh"]}, packed))
    assert world.images.resolve("a:1") == world.image
    world.clean()


@pytest.mark.parametrize("damage", [_truncate, _change, Path.unlink])
def test_a_damaged_configuration(world: World, damage: Callable[[Path], None]) -> None:
    damage(world.blob(world.image))
    (found,), _ = world.check()
    assert (found.kind, found.images) == (Kind.BLOB, ("a:1",))
    (found,), _ = world.check(repair=True)
    assert not found.repaired
    world.restart()
    (found,), _ = world.check()
    assert found.problem == "missing"
    assert len(world.snapshots.layers()) == 3, "what only the broken image names is kept for its return"
    world.load(world.archive)
    world.clean()
    assert world.images.config(world.image).cmd == ["sh"]


def _lose(layer: Path) -> None:
    shutil.rmtree(layer)


def _empty(layer: Path) -> None:
    shutil.rmtree(layer / "diff")


def _lose_record(layer: Path) -> None:
    (layer / "layer.json").write_text("{")


@pytest.mark.parametrize("index", [0, 1])
@pytest.mark.parametrize("damage", [_lose, _empty, _lose_record])
def test_a_lost_layer(world: World, damage: Callable[[Path], None], index: int) -> None:
    damage(world.layer(index))
    if damage is not _empty:
        world.restart()
    found, _ = world.check()
    assert found[0].kind is Kind.LAYER
    assert found[0].name == world.chains()[index]
    assert found[0].images == (("a:1", "b:1"), ("a:1",))[index]
    assert found[0].remedy == "--repair"
    found, verdict = world.check(repair=True)
    assert verdict.repaired == verdict.findings
    assert found[0].remedy == "unpacked again"
    world.clean()
    assert world.images.size(world.image) == sum(world.snapshots.layer(chain).size for chain in world.chains())
    world.restart()
    world.clean()
    world.snapshots.prepare("key", world.chains()[-1])
    world.snapshots.remove("key")


def _replace(path: Path, data: bytes) -> None:
    path.unlink()  # not the file that other layers share by hard link
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (lambda diff: _replace(diff / "etc/passwd", b"root"), '"etc/passwd" has 4 of 1100 bytes'),
        (lambda diff: _change(diff / "etc/passwd"), '"etc/passwd" has other bytes'),
        (lambda diff: (diff / "etc/passwd").unlink(), '"etc/passwd" is missing'),
        (lambda diff: (diff / "etc/passwd").chmod(0o777), '"etc/passwd" has other permissions'),
        (lambda diff: os.chown(diff / "etc/passwd", 5, 5), '"etc/passwd" belongs to somebody else'),
        (lambda diff: _link(diff / "etc/link"), '"etc/link" leads elsewhere'),
        (lambda diff: shutil.rmtree(diff / "etc"), "is missing"),
    ],
)
def test_a_changed_layer(world: World, damage: Callable[[Path], None], problem: str) -> None:
    damage(world.layer(0) / "diff")
    found, _ = world.check()
    assert problem in found[0].problem
    found, verdict = world.check(repair=True, running=True)
    assert verdict.repaired == 0
    assert found[0].remedy == "stop the containers that run from it, then --repair"
    _, verdict = world.check(repair=True)
    assert verdict.repaired == verdict.findings > 0
    world.clean()


def _link(path: Path) -> None:
    path.unlink()
    path.symlink_to("/etc/shadow")


def test_what_only_an_overlay_layer_tells(tmp_path: Path) -> None:
    world = World(tmp_path, "overlay")
    try:
        (world.layer(1) / "diff/etc/gone").unlink()
        (world.layer(1) / "diff/bin/more").write_bytes(b"x")
        (found,), _ = world.check()
        assert found.problem == '"bin/more" is no part of the layer; "etc/gone" no longer hides what lies below it'
        (found,), _ = world.check(repair=True)
        assert found.repaired
        world.clean()
    finally:
        world.close()


def test_a_layer_whose_blob_is_damaged_too(world: World) -> None:
    shutil.rmtree(world.layer(1))
    _change(world.blob(world.record().layers[1].blob))
    world.restart()
    found, verdict = world.check(repair=True)
    assert [one.kind for one in found] == [Kind.BLOB, Kind.LAYER]
    assert found[1].remedy == "pull or load it again, then --repair"
    assert verdict.repaired == 0
    world.load(world.archive)
    world.clean()


def test_a_whole_layer_is_not_blamed_for_its_blob_of_the_same_digest(tmp_path: Path) -> None:
    """The lowest layer's chain id is the digest of its plain tar."""
    world = World(tmp_path, "overlay")
    try:
        layer = Layer()
        layer.file("plain", b"plain")
        world.load(docker_archive("plain:1", [layer.tar()], {}))
        image = world.images.resolve("plain:1")
        (chain,) = world.images._catalog.chains(image)
        (world.root / "layers/overlay" / chain.removeprefix("sha256:") / "diff/plain").write_bytes(b"PLAIN")
        (found,), _ = world.check(repair=True)
        assert (found.kind, found.repaired) == (Kind.LAYER, True)
    finally:
        world.close()


def test_orphans_and_strays(world: World) -> None:
    orphan = world.content.put(b"nobody's")
    layer = Layer()
    layer.file("nobody", b"nobody's")
    chain = world.snapshots.apply(None, io.BytesIO(layer.tar())).chain
    (world.root / "content/ingest" / f"partial-{world.image.removeprefix('sha256:')}").write_bytes(b"x")
    strays = [
        world.root / "content/blobs/sha256/README",
        world.root / "content/ingest/core",
        world.root / "layers" / world.driver / "old",
        world.root / "layers" / world.driver / "l/NOTHING",
    ]
    for path in strays:
        path.write_bytes(b"x")
    found, _ = world.check()
    assert {one.name for one in found if one.kind is Kind.ORPHAN} == {orphan, chain, world.image}
    assert {one.name for one in found if one.kind is Kind.STRAY} == {str(path) for path in strays}
    found, verdict = world.check(repair=True)
    assert verdict.repaired == verdict.findings == 7
    assert not any(path.exists() for path in strays)
    world.clean()


def test_what_is_in_use_is_no_orphan(world: World) -> None:
    world.snapshots.prepare("key", world.chains()[-1])
    with world.images._catalog.lease() as lease:
        world.content.put(b"about to be needed", lease.take)
        with world.content.partial(Digest("sha256:" + "1" * 64), 10) as partial:
            partial.write(b"x")
            world.images.remove("a:1", lambda _: [], force=True)
            found, _ = world.check(repair=True)
            assert found == []
    world.snapshots.mount_of("key")
    world.snapshots.remove("key")


def test_an_image_that_goes_while_it_is_checked(world: World) -> None:
    steps = world.images.check(lambda _: [], repair=True)
    first = next(steps, None)
    world.images.remove("a:1", lambda _: [], force=True)
    found = [step for step in (first, *steps) if isinstance(step, Finding)]
    assert found == []
    assert len(list(world.content.list())) == 3


def test_a_name_that_means_nothing(world: World) -> None:
    world.store.commit([Put(catalog.REFERENCES, "docker.io/library/lost:1", b"sha256:" + b"1" * 64)]).result()
    world.restart()
    (found,), _ = world.check()
    assert (found.kind, found.name) == (Kind.NAME, "lost:1")
    (found,), _ = world.check(repair=True)
    assert found.repaired
    world.restart()
    world.clean()


def test_a_configuration_that_is_none(world: World) -> None:
    """Whole by its digest, and nonsense."""
    digest = world.content.put(b"[]")
    image = ImageId(digest)
    record = catalog.ImageRecord(world.record().layers, 1)
    world.images._catalog.commit([Put(catalog.IMAGES, image, msgspec.json.encode(record))])
    (found,), _ = world.check()
    assert (found.kind, found.name) == (Kind.IMAGE, image)
    world.images.remove(image, lambda _: [])
    world.clean()


def test_an_image_that_was_committed(world: World) -> None:
    made = Layer()
    made.file("made", b"made")
    image, _ = world.images.commit(iter([made.tar()]), CommitWish(world.image, ImageConfig()), "c", "1")
    found, verdict = world.check()
    assert (found, verdict.images, verdict.layers) == ([], 3, 4)
    chain = world.images.chain(image)
    assert chain is not None
    shutil.rmtree(world.root / "layers" / world.driver / chain.removeprefix("sha256:"))
    world.restart()
    (found_layer,), _ = world.check(repair=True)
    assert found_layer.repaired
    assert world.check()[0] == []
