"""What a registry can do to a pull that takes patience to find out, with a hasty client: the store stays, the next pull goes on."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from sampan.content.store import Content
from sampan.errors import SampanError
from sampan.images.findings import Verdict
from sampan.images.images import Images, Travel
from sampan.images.pulling import PullWish
from sampan.images.references import parse_reference
from sampan.images.steps import Cancellation
from sampan.registry.registries import RemoteRegistries
from sampan.registry.settings import Patience, Settings
from sampan.snapshots.overlay import OverlaySnapshotter
from sampan.state.store import Store
from tests.registries import Handler, Scripted, scripted_registry
from tests.requires import requires
from tests.security.shelf import INDEX, MANIFEST, Shelf, described, digest_of, hostile, tar

pytestmark = requires("root", "overlay")

HASTY = Patience(connect=2, idle=0.3, document=1, attempts=2, pause=0.01, longest_pause=0.05)
BLOB = tar(os.urandom(300_000))
HALF = 100_000


class World:
    """A data root, and a client that does not wait."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.store = Store(root / "db")
        self.snapshots = OverlaySnapshotter(root)
        self.content = Content(root / "content")
        self.registries = RemoteRegistries(Settings(patience=HASTY))
        travel = Travel(self.registries, attempts=2, second=0.001)
        self.images = Images(self.store, self.content, self.snapshots, travel=travel)

    def pull(self, registry: Scripted) -> None:
        wish = PullWish(parse_reference(f"{registry.address}/a:latest"))
        self.images.pull(wish, lambda step: None, Cancellation())

    def kept(self) -> tuple[set[str], set[str], int]:
        """Blobs, layers and images, those on their way out left out."""
        layers = {path.name for path in (self.root / "layers/overlay").iterdir()} - {"l"}
        return set(self.content.list()), layers, self.images.count()

    def refused(self, registry: Scripted, said: str) -> None:
        """The pull fails with these words, and nothing is there that was not before; a check finds nothing."""
        before = self.kept()
        with pytest.raises(SampanError) as refused:
            self.pull(registry)
        assert said in str(refused.value)
        assert self.kept() == before
        verdict = list(self.images.check(lambda _: (), repair=False))[-1]
        assert isinstance(verdict, Verdict)
        assert verdict.findings == 0

    def close(self) -> None:
        self.images.close()
        self.registries.close()
        self.snapshots.close()
        self.store.close()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.close()


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as open_things:
        yield open_things


def only_half(handler: Handler) -> None:
    """The registry says that this is all."""
    handler.answer(200, BLOB[:HALF])


def half_and_cut(handler: Handler) -> None:
    start = _start(handler)
    span = {"Content_Range": f"bytes {start}-{len(BLOB) - 1}/{len(BLOB)}"} if start else {}
    handler.head(206 if start else 200, Content_Length=str(len(BLOB) - start), **span)
    handler.wfile.write(BLOB[start:HALF])
    handler.cut()


def half_and_silence(handler: Handler) -> None:
    start = _start(handler)
    span = {"Content_Range": f"bytes {start}-{len(BLOB) - 1}/{len(BLOB)}"} if start else {}
    handler.head(206 if start else 200, Content_Length=str(len(BLOB) - start), **span)
    handler.wfile.write(BLOB[start:HALF])
    handler.wfile.flush()
    handler.stall()


def silence(handler: Handler) -> None:
    handler.stall()


def without_end(handler: Handler) -> None:
    handler.head(200, Transfer_Encoding="chunked")
    piece = b"10000\r\n" + bytes(0x10000) + b"\r\n"
    while True:
        handler.wfile.write(piece)


def in_circles(handler: Handler) -> None:
    handler.answer(307, Location=handler.path)


def to_a_file(handler: Handler) -> None:
    handler.answer(307, Location="file:///etc/passwd")


def _start(handler: Handler) -> int:
    return int(handler.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")[0])


RESUMED = f"bytes={HALF}-"


@pytest.mark.parametrize(
    ("behave", "said", "resumed"),
    [
        (only_half, "unexpected EOF", True),
        (half_and_cut, "EOF", True),
        (half_and_silence, "Client.Timeout exceeded", True),
        (silence, "Client.Timeout exceeded", False),
        (without_end, "filesystem layer verification failed", False),
        (in_circles, "stopped after 10 redirects", False),
        (to_a_file, "not an address of http", False),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_a_layer(world: World, behave: Callable[[Handler], None], said: str, resumed: bool) -> None:
    with hostile() as (shelf, registry):
        shelf.image(BLOB)
        _instead(shelf, digest_of(BLOB), behave)
        world.refused(registry, said)
        asked = len(registry.received)
        shelf.instead = lambda handler, name: False
        world.pull(registry)
        ranges = [one.headers["range"] for one in registry.received[asked:] if "range" in one.headers]
        assert ranges == ([RESUMED] if resumed else [])
        assert world.images.count() == 2


@pytest.mark.parametrize(
    ("behave", "said"),
    [
        (silence, "Client.Timeout exceeded"),
        (without_end, "larger than"),
        (in_circles, "stopped after 10 redirects"),
        (to_a_file, "not an address of http"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_a_manifest(world: World, behave: Callable[[Handler], None], said: str) -> None:
    with hostile() as (shelf, registry):
        shelf.image(BLOB)
        _instead(shelf, "latest", behave)
        world.refused(registry, said)
        shelf.instead = lambda handler, name: False
        world.pull(registry)


def _instead(shelf: Shelf, what: str, behave: Callable[[Handler], None]) -> None:
    def instead(handler: Handler, name: str) -> bool:
        if name != what:
            return False
        behave(handler)
        return True

    shelf.instead = instead


@pytest.mark.parametrize("announced", [len(BLOB) + 1, 1 << 50])
def test_a_layer_that_is_announced_too_large(world: World, announced: int) -> None:
    with hostile() as (shelf, registry):
        shelf.image(BLOB, size=announced)
        world.refused(registry, "unexpected EOF")
        shelf.image(BLOB)
        world.pull(registry)


@pytest.mark.parametrize("announced", [-1, (1 << 63) - 1, 1 << 70])
def test_a_layer_of_a_size_that_is_none(world: World, announced: int) -> None:
    with hostile() as (shelf, registry):
        shelf.image(BLOB, size=announced)
        world.refused(registry, "the manifest is malformed")


def test_a_layer_that_lies_elsewhere(world: World, stack: ExitStack) -> None:
    """The other host gives another layer first, and then the right one."""
    given = [bytes(len(BLOB)), BLOB]
    other = stack.enter_context(scripted_registry(lambda handler: handler.answer(200, given.pop(0))))
    with hostile() as (shelf, registry):
        shelf.image(BLOB)
        target = f"http://{other.address}/there"
        _instead(shelf, digest_of(BLOB), lambda handler: handler.answer(307, Location=target))
        world.refused(registry, f"filesystem layer verification failed for digest {digest_of(BLOB)}")
        world.pull(registry)
    assert [one.path for one in other.received] == ["/there", "/there"]


def test_an_index_that_names_itself(world: World) -> None:
    """It cannot with a true digest: the registry gives the index once more for what the index names."""
    named = "sha256:" + "5" * 64
    entry = {**described(MANIFEST, b""), "digest": named, "platform": {"os": "linux", "architecture": "amd64"}}
    index = json.dumps({"schemaVersion": 2, "manifests": [{**entry, "mediaType": INDEX, "size": 0}]}).encode()
    with hostile() as (shelf, registry):
        shelf.manifest("latest", INDEX, index)
        shelf.manifests[named] = (INDEX, index)
        world.refused(registry, f"manifest verification failed for digest {named}")


def test_a_manifest_whose_configuration_is_itself(world: World) -> None:
    named = "sha256:" + "6" * 64
    config = {**described("application/vnd.oci.image.config.v1+json", b""), "digest": named}
    document = json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": []}).encode()
    with hostile() as (shelf, registry):
        shelf.manifest("latest", MANIFEST, document)
        shelf.blobs[named] = document
        world.refused(registry, "error pulling image configuration")
