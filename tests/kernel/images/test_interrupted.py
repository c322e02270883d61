"""Loads that end half-way: by a crash at each named point, a full disk, another load or a removal at the same time."""

import io
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from signal import SIGKILL

import pytest

from sampan.content.store import Content
from sampan.crashpoints import VARIABLE
from sampan.errors import NotFound, SampanError, System
from sampan.images.images import Images
from sampan.snapshots.overlay import OverlaySnapshotter
from sampan.state.store import Store
from tests.archives import Layer, docker_archive
from tests.requires import requires

pytestmark = requires("root", "overlay")
SOURCE = Path(__file__).parents[3] / "src"


class World:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.store = Store(root / "db")
        self.snapshots = OverlaySnapshotter(root)
        self.images = Images(self.store, Content(root / "content"), self.snapshots)

    def load(self, archive: bytes) -> None:
        for _ in self.images.load(io.BytesIO(archive)):
            pass

    def left(self) -> dict[str, int]:
        """How much of each kind there is."""
        directories = [path for path in (self.root / "layers/overlay").iterdir() if path.name != "l"]
        return {
            "images": self.images.count() - 1,
            "layers": len(self.snapshots.layers()),
            "directories": len(directories),
            "links": len(list((self.root / "layers/overlay/l").iterdir())),
            "blobs": len(list((self.root / "content/blobs/sha256").iterdir())),
            "ingest": len(list((self.root / "content/ingest").iterdir())),
        }

    def close(self) -> None:
        self.images.close()
        self.snapshots.close()
        self.store.close()


NOTHING = {"images": 0, "layers": 0, "directories": 0, "links": 0, "blobs": 0, "ingest": 0}
WHOLE = {"images": 1, "layers": 2, "directories": 2, "links": 2, "blobs": 3, "ingest": 0}


def archive(tag: str = "a:1", size: int = 100) -> bytes:
    layers = []
    for name in ("one", "two"):
        layer = Layer()
        layer.file(name, name.encode() * size)
        layers.append(layer.tar())
    return docker_archive(tag, layers, {"Cmd": ["sh"]})


@pytest.mark.crash
@pytest.mark.parametrize(
    ("point", "expected"),
    [
        ("layer-before-publish", NOTHING),
        ("layer-after-publish", NOTHING),
        ("image-before-commit", NOTHING),
        ("state-before-commit", NOTHING),
        ("state-after-commit", WHOLE),
        ("image-after-commit", WHOLE),
    ],
)
def test_a_crash_leaves_all_or_nothing(tmp_path: Path, point: str, expected: dict[str, int]) -> None:
    (tmp_path / "archive.tar").write_bytes(archive())
    program = (
        "import sys; from pathlib import Path; from sampan.state.store import Store;"
        "from sampan.content.store import Content; from sampan.snapshots.overlay import OverlaySnapshotter;"
        "from sampan.images.images import Images; root = Path(sys.argv[1]);"
        "images = Images(Store(root / 'db'), Content(root / 'content'), OverlaySnapshotter(root));"
        "print(list(images.load(open(root / 'archive.tar', 'rb'))))"
    )
    environment = {VARIABLE: point, "PYTHONPATH": str(SOURCE)}
    done = subprocess.run([sys.executable, "-c", program, tmp_path], env=environment, capture_output=True, timeout=60)
    assert done.returncode == -SIGKILL, done
    world = World(tmp_path)
    try:
        assert world.left() == expected
        if expected == WHOLE:
            assert world.images.resolve("a:1"), "an image comes with its name"
        world.load(archive())
        assert world.left() == WHOLE
        assert world.images.resolve("a:1")
    finally:
        world.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "sampan-small-disk"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=96m", "sampan-test", place], check=True, timeout=10)
    try:
        yield place
    finally:
        subprocess.run(["umount", place], check=True, timeout=10)


def test_a_full_disk(small_disk: Path) -> None:
    """96 MiB hold a small image, not one whose blobs and files take 120."""
    world = World(small_disk)
    try:
        with pytest.raises(System, match="no space left on device"):
            world.load(archive("big:1", 10_000_000))
        assert world.left() == NOTHING
        world.close()  # waits for what was thrown away to be gone
        world = World(small_disk)
        world.load(archive("small:1"))
        assert world.left() == WHOLE
    finally:
        world.close()


def test_many_at_once(tmp_path: Path) -> None:
    """Loads of the same image, of one that shares a layer, and removals: nothing breaks, nothing is left too much."""
    world = World(tmp_path)
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for _ in range(3):
                world.load(archive(f"a:{number % 2}"))
                try:
                    world.images.remove(f"a:{number % 2}", lambda _: [])
                except NotFound:
                    continue  # another thread was faster
        except SampanError as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    try:
        assert failures == []
        for name in ("a:0", "a:1"):
            try:
                world.images.remove(name, lambda _: [])
            except NotFound:
                continue
        assert world.left() == NOTHING
    finally:
        world.close()


def test_descriptors_are_given_back(tmp_path: Path) -> None:
    world = World(tmp_path)
    try:
        world.load(archive())
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(5):
            world.load(archive("b:1"))
            list(world.images.save(["b:1"]))
            world.images.remove("b:1", lambda _: [])
        assert len(os.listdir("/proc/self/fd")) == before
    finally:
        world.close()
