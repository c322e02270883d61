"""Layers that are unpacked while their archive still comes in: the same as one after the other, and nothing left over."""

import io
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from sampan.content.partial import ContentTruncated
from sampan.content.store import Content
from sampan.errors import InvalidParameter, System
from sampan.images.ahead import Ahead, LayerProgress
from sampan.images.images import Images
from sampan.snapshots.overlay import OverlaySnapshotter
from sampan.snapshots.protocol import chain_id
from sampan.spec.ids import ChainId, DiffId, Digest
from sampan.state.store import Store
from tests.archives import Layer, docker_archive
from tests.oci_archives import OciArchive, digest_of
from tests.requires import requires
from tests.scarcity import no_more_threads

pytestmark = requires("root", "overlay")


class World:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.store = Store(root / "db")
        self.snapshots = OverlaySnapshotter(root)
        self.images = Images(self.store, Content(root / "content"), self.snapshots)

    def load(self, archive: bytes) -> list[object]:
        return list(self.images.load(io.BytesIO(archive)))

    def directories(self) -> set[str]:
        return {path.name for path in (self.root / "layers/overlay").iterdir() if path.name != "l"}

    def close(self) -> None:
        self.snapshots.close()
        self.store.close()


def layers(count: int) -> list[bytes]:
    made = []
    for number in range(count):
        layer = Layer()
        if number == 0:
            layer.directory("tmp", 0o1777)
        # The others imply the directory that the first one describes.
        layer.file(f"tmp/{number}", b"x" * 1000 * number)
        made.append(layer.tar())
    return made


def test_where_no_thread_can_be_had_it_fails_and_nothing_is_done_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path)
    try:
        archive = docker_archive("a:1", layers(3), {})
        before = len(os.listdir("/proc/self/fd"))
        with no_more_threads(monkeypatch), pytest.raises(System, match="can't start new thread"):
            world.load(archive)
        assert world.directories() == set()
        assert len(os.listdir("/proc/self/fd")) == before
        assert world.load(archive)
        assert len(world.directories()) == 3
    finally:
        world.close()


def test_many_layers(tmp_path: Path) -> None:
    world = World(tmp_path)
    try:
        tars = layers(10)
        events = world.load(docker_archive("a:1", tars, {}))
        chain: ChainId | None = None
        for tar in tars:
            chain = chain_id(chain, DiffId(digest_of(tar)))
            assert world.snapshots.layer(chain).tar_size == len(tar)
        assert chain is not None
        root = world.snapshots.view(chain)
        try:
            inside = os.open("tmp", os.O_RDONLY, dir_fd=root)
            assert sorted(os.listdir(inside)) == [str(number) for number in range(10)]
            os.close(inside)
            assert oct(os.stat("tmp", dir_fd=root).st_mode) == "0o41777"
        finally:
            os.close(root)
        told = [event for event in events if isinstance(event, LayerProgress)]
        ends = [event for event in told if event.current == event.total]
        assert [event.diff_id for event in ends] == [digest_of(tar) for tar in tars]
        assert len(world.directories()) == 10
    finally:
        world.close()


def test_what_is_no_layer_is_thrown_away(tmp_path: Path) -> None:
    world = World(tmp_path)
    try:
        archive = OciArchive()
        archive.name(archive.image(layers(2)), "a:1")
        archive.blob(layers(5)[4], "application/x-tar")
        archive.blob(b"\x1f\x8b\x08 which is no gzip", "application/octet-stream")
        world.load(archive.tar())
        assert len(world.directories()) == 2
    finally:
        world.close()


@pytest.mark.parametrize("place", [0, 1])
def test_a_layer_that_cannot_be_unpacked(tmp_path: Path, place: int) -> None:
    world = World(tmp_path)
    try:
        bad = Layer()
        bad.file("../out", b"")
        tars = layers(2)
        tars[place] = bad.tar()
        with pytest.raises(InvalidParameter, match="leaves its root"):
            world.load(docker_archive("a:1", tars, {}))
        assert world.directories() == set()
        assert world.images.count() == 1
    finally:
        world.close()


def test_a_layer_that_is_here_is_not_unpacked_again(tmp_path: Path) -> None:
    world = World(tmp_path)
    try:
        tars = layers(3)
        world.load(docker_archive("a:1", tars[:2], {}))
        before = {path.stat().st_ino for path in (tmp_path / "layers/overlay").iterdir() if path.name != "l"}
        events = world.load(docker_archive("b:1", tars, {}))
        told = {event.diff_id for event in events if isinstance(event, LayerProgress)}
        assert told == {digest_of(tars[2])}
        after = {path.stat().st_ino for path in (tmp_path / "layers/overlay").iterdir() if path.name != "l"}
        assert before < after
    finally:
        world.close()


def test_a_reader_that_goes_away(tmp_path: Path) -> None:
    """The archive breaks off behind its first layer, which is unpacked or being unpacked then."""
    world = World(tmp_path)
    try:
        archive = docker_archive("a:1", layers(4), {})
        with pytest.raises(InvalidParameter):
            world.load(archive[: len(archive) // 2])
        assert world.directories() == set()
    finally:
        world.close()


def large(number: int, size: int = 3 << 20) -> bytes:
    layer = Layer()
    layer.file(f"file-{number}", os.urandom(size))
    return layer.tar()


class Held(io.BytesIO):
    """An archive whose second half comes only when `until` is fulfilled."""

    def __init__(self, data: bytes, until: Callable[[], bool]) -> None:
        super().__init__(data)
        self._half = len(data) // 2
        self._until = until
        self.waited = False

    def read(self, size: int | None = -1) -> bytes:
        if self.tell() + (size or 0) > self._half and not self.waited:
            ends = time.monotonic() + 60
            while not self._until():
                assert time.monotonic() < ends, "nothing was unpacked while the archive came"
                time.sleep(0.005)
            self.waited = True
        return super().read(size)


def test_a_layer_is_unpacked_while_it_comes(tmp_path: Path) -> None:
    world = World(tmp_path)
    try:
        tar = large(1)
        stream = Held(
            docker_archive("a:1", [tar], {}), lambda: any((tmp_path / "layers/overlay").glob("tmp-*/diff/file-1"))
        )
        list(world.images.load(stream))
        assert stream.waited
        layer = world.snapshots.layer(chain_id(None, DiffId(digest_of(tar))))
        assert (layer.tar_size, layer.size) == (len(tar), 3 << 20)
        assert len(world.directories()) == 1
    finally:
        world.close()


def test_what_is_here_is_not_unpacked_along(tmp_path: Path) -> None:
    """By its name where it has one, by length and beginning where it has none; one that only looks like it, later."""
    world = World(tmp_path)
    try:
        here = large(1)
        world.load(docker_archive("a:1", [here], {}))
        ahead = Ahead(world.images._catalog)
        with ahead:
            digest = Digest(digest_of(here))
            first, place = here[: 1 << 20], tmp_path / "content/blobs/sha256" / digest.removeprefix("sha256:")
            assert ahead.follow(len(here), digest, first, place) is None
            assert ahead.follow(len(here), None, first, place) is None
            other = ahead.follow(len(here), None, large(2)[: 1 << 20], place)
            assert other is not None
            # It never comes in whole, and another one begins.
            assert ahead.follow(len(here), digest, first, place) is None
            with pytest.raises(ContentTruncated):
                other.read(1)
        assert len(world.directories()) == 1
    finally:
        world.close()


def test_an_archive_that_ends_within_a_layer(tmp_path: Path) -> None:
    world = World(tmp_path)
    try:
        archive = docker_archive("a:1", [large(1), large(2)], {})
        with pytest.raises(InvalidParameter, match="unexpected EOF"):
            world.load(archive[: len(archive) // 4])
        assert world.directories() == set()
        assert list((tmp_path / "content/ingest").iterdir()) == []
        world.load(archive)
        assert len(world.directories()) == 2
    finally:
        world.close()


def test_a_large_layer_with_another_name_than_its_digest(tmp_path: Path) -> None:
    world = World(tmp_path)
    try:
        archive = OciArchive()
        tar = large(1)
        archive.name(archive.image([tar], pack=bytes), "a:1")
        archive.blobs[digest_of(tar)] = large(2)
        with pytest.raises(InvalidParameter, match="has the digest"):
            world.load(archive.tar())
        assert world.directories() == set()
    finally:
        world.close()
