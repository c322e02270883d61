"""Layers in memory: a Snapshotter for tests of what stands above it."""

import hashlib
from collections.abc import Callable, Collection, Generator, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

from sampan.content.store import Content
from sampan.files.compression import decompressed
from sampan.files.tar_reader import BadArchive, TarReader
from sampan.files.trash import Freeing
from sampan.images.events import ImageAction
from sampan.images.images import Images, Travel
from sampan.snapshots.protocol import Change, Drafts, Layer, LayerInUse, LayerNotFound, Staging, Usage, chain_id
from sampan.spec.ids import ChainId, DiffId, ImageId
from sampan.spec.rootfs import PlainRoot, RootMount
from sampan.state.store import Store
from tests.unit.images.registry import MemoryRegistry


class MemorySnapshotter:
    """Keeps what it is told about layers and throws their files away."""

    name = "memory"

    def __init__(self) -> None:
        self.staging: Staging | None = None
        self._layers: dict[ChainId, Layer] = {}
        self._writable: dict[str, ChainId | None] = {}

    def apply(self, parent: ChainId | None, stream: BinaryIO, expected: DiffId | None = None) -> Layer:
        if parent is not None:
            self.layer(parent)
        source = decompressed(stream)
        hashed, total = hashlib.sha256(), 0

        def read(size: int) -> bytes:
            nonlocal total
            data = source.read(size)
            hashed.update(data)
            total += len(data)
            return data

        size = sum(entry.size for entry in TarReader(read))
        while read(1 << 20):
            pass
        diff_id = DiffId(f"sha256:{hashed.hexdigest()}")
        if expected is not None and diff_id != expected:
            raise BadArchive(f"wrong diff id calculated on extraction {diff_id}, {expected} was expected")
        layer = Layer(chain_id(parent, diff_id), diff_id, parent, size, total)
        return self._layers.setdefault(layer.chain, layer)

    @property
    def drafts(self) -> Drafts:
        raise AssertionError("nothing is built here")

    def layer(self, chain: ChainId) -> Layer:
        try:
            return self._layers[chain]
        except KeyError:
            raise LayerNotFound(chain) from None

    def layers(self) -> tuple[Layer, ...]:
        return tuple(self._layers.values())

    def layer_directories(self, chain: ChainId) -> tuple[str, ...]:
        self.layer(chain)
        return ("/nowhere",)

    def borrow(
        self, chain: ChainId, directories: Callable[[], tuple[str, ...]], opened: Callable[[], list[int]]
    ) -> None:
        raise AssertionError("nothing is borrowed here")

    def remove_layer(self, chain: ChainId) -> None:
        self.layer(chain)
        if chain in self._writable.values() or any(layer.parent == chain for layer in self._layers.values()):
            raise LayerInUse(chain)
        del self._layers[chain]

    bounded = False
    whole = False

    def looked_at(self, key: str) -> int:
        raise NotImplementedError(key)

    def prepare(self, key: str, parent: ChainId | None, size: int = 0) -> RootMount:
        self._writable[key] = parent
        return PlainRoot("/nowhere")

    def mount_of(self, key: str) -> RootMount:
        return PlainRoot("/nowhere")

    def view(self, chain: ChainId) -> int:
        raise LayerNotFound(chain)

    def keys(self) -> tuple[str, ...]:
        return tuple(self._writable)

    def remove(self, key: str) -> None:
        self._writable.pop(key, None)

    def usage(self, key: str) -> Usage:
        return Usage(0, 0)

    def diff(self, key: str) -> Iterator[bytes]:
        yield bytes(1024)

    def changes(self, key: str) -> tuple[Change, ...]:
        return ()

    def mounted(self, key: str) -> int:
        raise LayerNotFound(key)

    def verify(self, chain: ChainId, stream: BinaryIO) -> Generator[int, None, tuple[str, ...]]:
        self.layer(chain)
        yield len(stream.read())
        return ()

    def mend(self, parent: ChainId | None, stream: BinaryIO, expected: DiffId) -> Layer:
        return self.apply(parent, stream, expected)

    def standing(self, without: Collection[str] = ()) -> frozenset[ChainId]:
        return frozenset(chain for key, chain in self._writable.items() if chain is not None and key not in without)

    def strays(self) -> tuple[Path, ...]:
        return ()

    def freeing(self) -> Freeing:
        return Freeing()

    def throw_away(self, stray: Path) -> None:
        raise AssertionError("there are no strays here")

    def sync(self) -> None:
        return

    def close(self) -> None:
        return


class World:
    """Images on a store in a directory, and what was told to the listener."""

    def __init__(self, directory: Path, snapshots: MemorySnapshotter | None = None) -> None:
        self.registry = MemoryRegistry()
        self.events: list[tuple[ImageAction, str, str]] = []
        self.store = Store(directory / "db")
        self.content = Content(directory / "content")
        self.snapshots = snapshots or MemorySnapshotter()
        travel = Travel(self.registry, second=0.0)
        self.images = Images(self.store, self.content, self.snapshots, self._hear, travel=travel)

    def _hear(self, action: ImageAction, actor: ImageId | str, name: str, labels: Mapping[str, str]) -> None:
        self.events.append((action, actor, name))

    def close(self) -> None:
        self.images.close()
        self.store.close()
