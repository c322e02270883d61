"""What is common to the drivers: the layers and writable layers of one data root as they lie on the disk.

layers/DRIVER/CHAIN/{layer.json, diff/}      written as layers/DRIVER/tmp-RANDOM, renamed when whole
layers/DRIVER/l/LINK -> ../CHAIN/diff        short names: a mount's options hold few bytes for many layers
rw/KEY/{layer.json, …}                       what lies beside it is the driver's
trash/                                       on its way out
"""

import base64
import errno
import os
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from sampan.crashpoints import crash_point
from sampan.errors import InvalidParameter, System, host_words
from sampan.files.atomic import make_directory, sync_directory, write_atomic
from sampan.files.paths import BadPath, check_component
from sampan.files.quotas import open_quotas
from sampan.files.trash import Trash
from sampan.kernel.inode_flags import set_top_directory
from sampan.kernel.sync import syncfs
from sampan.snapshots.protocol import Layer, LayerInUse, LayerNotFound
from sampan.spec.ids import ChainId, DiffId, parse_digest

_RECORD = "layer.json"
_TEMPORARY = "tmp-"
_ATTRIBUTE = "trusted.sampan.layer"


class _LayerRecord(msgspec.Struct, frozen=True):
    chain: str
    diff_id: str
    parent: str | None
    size: int
    tar_size: int
    link: str


class Writable(msgspec.Struct, frozen=True):
    """What a writable layer stands on."""

    parent: str | None


class Shelf:
    """The directories of one driver, and an index of them in memory. Thread-safe."""

    def __init__(self, data_root: Path, driver: str) -> None:
        """Open or make them below `data_root`. What was half made goes to the trash."""
        self._lock = threading.RLock()
        self.trash = Trash(data_root / "trash")
        make_directory(data_root / "layers")
        self._layers_at = make_directory(data_root / "layers" / driver)
        _spread(self._layers_at)
        self._links_at = make_directory(self._layers_at / "l")
        self._writable_at = make_directory(data_root / "rw")
        self.quotas = open_quotas(self._writable_at)
        """of the file system of writable layers; None where it has none"""
        self._layers: dict[ChainId, Layer] = {}
        self._links: dict[ChainId, str] = {}
        self._writable: dict[str, Writable] = {}
        self._borrowed: dict[ChainId, Callable[[], tuple[str, ...]]] = {}
        self._borrowed_open: dict[ChainId, Callable[[], list[int]]] = {}
        self._lent: set[str] = set()
        """short names of layers that are being made"""
        self._load_layers()
        self._load_writable()

    def _load_layers(self) -> None:
        decode = msgspec.json.Decoder(_LayerRecord).decode
        for entry in list(os.scandir(self._layers_at)):
            if entry.name == "l":
                continue
            try:
                record = decode((Path(entry.path) / _RECORD).read_bytes())
                chain = ChainId(parse_digest(record.chain))
                if entry.name != _hex(chain):
                    raise ValueError(record.chain)
            except (OSError, ValueError):
                self.trash.take(Path(entry.path))
                continue
            parent = ChainId(record.parent) if record.parent else None
            layer = Layer(chain, DiffId(record.diff_id), parent, record.size, record.tar_size)
            self._layers[chain] = layer
            self._links[chain] = record.link
            self._link(chain, record.link)
        wanted = set(self._links.values())
        for name in os.listdir(self._links_at):
            if name not in wanted:
                os.unlink(self._links_at / name)

    def _load_writable(self) -> None:
        decode = msgspec.json.Decoder(Writable).decode
        for entry in list(os.scandir(self._writable_at)):
            if entry.name.startswith("."):
                self.trash.take(Path(entry.path))
                continue
            try:
                self._writable[entry.name] = decode(_read_record(entry.path))
            except (OSError, msgspec.DecodeError):
                # Cut short by a power failure: listed by `keys`, and mended when it is prepared again.
                continue

    def _link(self, chain: ChainId, link: str) -> None:
        try:
            os.symlink(f"../{_hex(chain)}/diff", self._links_at / link)
        except FileExistsError:
            pass  # a link's target follows from its chain; it cannot be another

    def borrow(
        self, chain: ChainId, directories: Callable[[], tuple[str, ...]], opened: Callable[[], list[int]]
    ) -> None:
        """Let `chain` stand for directories that are not the shelf's own; asked for anew at each start of a container."""
        self._borrowed[chain] = directories
        self._borrowed_open[chain] = opened

    def layer(self, chain: ChainId) -> Layer:
        """What is known of a layer. Raises LayerNotFound."""
        try:
            return self._layers[chain]
        except KeyError:
            raise LayerNotFound(f"layer {chain} does not exist") from None

    def layers(self) -> tuple[Layer, ...]:
        """All layers."""
        with self._lock:
            return tuple(self._layers.values())

    def has(self, chain: ChainId) -> bool:
        """Whether the layer is there, or borrowed."""
        return chain in self._layers or chain in self._borrowed

    def stands_on_borrowed(self, chain: ChainId) -> bool:
        """Whether a borrowed layer is at the bottom of the stack. Raises LayerNotFound."""
        return any(link in self._borrowed for link in self.chain_of(chain))

    def directory(self, chain: ChainId) -> Path:
        """Where a layer's files are. Not checked to exist."""
        return self._layers_at / _hex(chain) / "diff"

    def chain_of(self, chain: ChainId | None) -> Iterator[ChainId]:
        """The layers of a stack from the topmost down. Raises LayerNotFound."""
        while chain is not None:
            below = None if chain in self._borrowed else self.layer(chain).parent
            yield chain
            chain = below

    def stack(self, chain: ChainId | None, short: bool = False) -> Iterator[str]:
        """The directories of a stack from the topmost down; by their short links where `short`. Raises LayerNotFound."""
        for link in self.chain_of(chain):
            if link in self._borrowed:
                yield from self._borrowed[link]()
            else:
                yield str(self._links_at / self._links[link] if short else self.directory(link))

    @contextmanager
    def opened(self, chain: ChainId | None) -> Iterator[list[int]]:
        """Descriptors of the directories of a stack, from the topmost down, for as long as the block runs.

        Raises LayerNotFound, OSError.
        """
        descriptors: list[int] = []
        try:
            for link in self.chain_of(chain):
                if link in self._borrowed_open:
                    descriptors += self._borrowed_open[link]()
                else:
                    descriptors.append(os.open(self.directory(link), os.O_RDONLY | os.O_DIRECTORY))
            yield descriptors
        finally:
            for descriptor in descriptors:
                os.close(descriptor)

    def new_layer(self) -> Path:
        """A fresh directory for a layer that is being made."""
        path = self._layers_at / f"{_TEMPORARY}{os.urandom(12).hex()}"
        path.mkdir(mode=0o700)
        return path

    def lend_link(self, made: Path) -> Path:
        """A short name for what `new_layer` gave, until `return_link`: a mount can stand on a layer that is not published yet."""
        link = _new_link()
        with self._lock:
            self._lent.add(link)
        os.symlink(f"../{made.name}/diff", self._links_at / link)
        return self._links_at / link

    def return_link(self, link: Path) -> None:
        """The short name is not used any more."""
        link.unlink(missing_ok=True)
        with self._lock:
            self._lent.discard(link.name)

    def publish(self, made: Path, layer: Layer, mend: bool = False) -> Layer:
        """Put what `new_layer` gave in its place. Where another was faster, that one is the layer and this goes.

        `mend`: what is there goes, and this takes its place and its short name.
        """
        link = self._links.get(layer.chain, "") or _new_link()
        record = _LayerRecord(layer.chain, layer.diff_id, layer.parent, layer.size, layer.tar_size, link)
        write_atomic(made / _RECORD, msgspec.json.encode(record), durable=False)
        with self._lock:
            if layer.parent is not None and not self.has(layer.parent):
                raise LayerNotFound(f"layer {layer.parent} does not exist")
            if mend:
                self.trash.take(self._layers_at / _hex(layer.chain))
            if mend or layer.chain not in self._layers:
                crash_point("layer-before-publish")
                os.rename(made, self._layers_at / _hex(layer.chain))
                crash_point("layer-after-publish")
                self._link(layer.chain, link)
                self._layers[layer.chain] = layer
                self._links[layer.chain] = link
                return layer
        self.trash.take(made)
        return self._layers[layer.chain]

    def remove_layer(self, chain: ChainId) -> None:
        """Take a layer out. Raises LayerInUse, LayerNotFound."""
        with self._lock:
            layer = self.layer(chain)
            if any(other.parent == chain for other in self._layers.values()):
                raise LayerInUse(f"layer {chain} has layers on top of it")
            if any(writable.parent == chain for writable in self._writable.values()):
                raise LayerInUse(f"layer {chain} is used by a container")
            self.trash.take(self._layers_at / _hex(chain), layer.size)
            (self._links_at / self._links[chain]).unlink(missing_ok=True)
            del self._layers[chain], self._links[chain]

    def standing(self, without: Collection[str] = ()) -> frozenset[ChainId]:
        """The layers that a writable layer stands on, all the way down; those called `without` are not asked."""
        with self._lock:
            found: set[ChainId] = set()
            for key, writable in self._writable.items():
                if key in without:
                    continue
                chain = ChainId(writable.parent) if writable.parent else None
                while chain is not None and chain not in found:
                    found.add(chain)
                    layer = self._layers.get(chain)
                    chain = layer.parent if layer is not None else None
            return frozenset(found)

    def strays(self) -> tuple[Path, ...]:
        """What lies among the layers and is none, nor being made; and what the trash cannot get rid of."""
        with self._lock:
            known = {"l", *(_hex(chain) for chain in self._layers)}
            names = [name for name in os.listdir(self._layers_at) if name not in known]
            links = {*self._links.values(), *self._lent}
            unknown = [self._links_at / name for name in os.listdir(self._links_at) if name not in links]
        layers = [self._layers_at / name for name in names if not name.startswith(_TEMPORARY)]
        return (*layers, *unknown, *self.trash.stuck())

    def writable_directory(self, key: str) -> Path:
        """Where the writable layer `key` is or will be. Raises BadPath for a key that is no plain name."""
        check_component(os.fsencode(key))
        if not key.isascii() or not key.replace("-", "").replace("_", "").isalnum():
            raise BadPath(f"{key!r} cannot name a writable layer")
        return self._writable_at / key

    @property
    def writables(self) -> Path:
        """The directory of all writable layers; names with a leading dot in it are cleaned at the next start."""
        return self._writable_at

    def writable(self, key: str) -> Writable:
        """What `key` stands on. Raises LayerNotFound."""
        try:
            return self._writable[key]
        except KeyError:
            raise LayerNotFound(f"writable layer {key} does not exist") from None

    def keys(self) -> tuple[str, ...]:
        """All writable layers, also those whose record was lost."""
        return tuple(name for name in os.listdir(self._writable_at) if not name.startswith("."))

    def record_writable(self, key: str, parent: ChainId | None) -> Writable:
        """Keep in mind what `key` stands on. Raises LayerNotFound."""
        with self._lock:
            if parent is not None and not self.has(parent):
                raise LayerNotFound(f"layer {parent} does not exist")
            record = Writable(parent)
            self._writable[key] = record
        try:
            _write_record(self.writable_directory(key), msgspec.json.encode(record))
        except OSError:
            self._writable.pop(key, None)
            raise
        return record

    def bound_writable(self, key: str, size: int) -> None:
        """Let the writable layer `key`, of which nothing is made yet, hold `size` bytes at most. Raises OSError.

        What overlay makes in work and moves to upper stays within one project, or the move were EXDEV.
        """
        assert self.quotas is not None
        directory = make_directory(self.writable_directory(key), 0o710)
        if not os.listdir(directory):
            self.quotas.bound((directory,), size)

    def remove_writable(self, key: str) -> None:
        """Move the writable layer to the trash and forget it."""
        path = self.writable_directory(key)
        with self._lock:
            if self.quotas is not None and path.exists():
                self.quotas.free(path)
            self.trash.take(path)
            self._writable.pop(key, None)

    def sync(self) -> None:
        """Make all layers durable: contents by syncfs, on whichever file system they lie."""
        descriptor = os.open(self._layers_at, os.O_RDONLY | os.O_DIRECTORY)
        try:
            syncfs(descriptor)
        except OSError as error:
            raise System(f"cannot write the layers to the disk: {host_words(error)}") from error
        finally:
            os.close(descriptor)
        sync_directory(self._layers_at)


def refuse_host(driver: str) -> tuple[str, ...]:
    """In place of the directories of the machine's own root: this driver puts no layers on them. Raises InvalidParameter."""
    raise InvalidParameter(
        f"the image host is not available with the storage driver {driver}: only the kernel's overlay can"
    )


def _spread(layers: Path) -> None:
    """Let the file system put each layer in a region of its own.

    Else all of them lie where the data root does, and files are looked for among those of layers that were just removed: an
    ext4 without a journal passes over each inode that was freed in the last minutes, one by one, at every new file.
    """
    descriptor = os.open(layers, os.O_RDONLY | os.O_DIRECTORY)
    try:
        set_top_directory(descriptor)
    finally:
        os.close(descriptor)


def _write_record(directory: Path, record: bytes) -> None:
    """In an attribute, which costs a fortieth of a file; in a file where the file system has no such attributes."""
    try:
        os.setxattr(directory, _ATTRIBUTE, record)
    except OSError as error:
        if error.errno not in (errno.ENOTSUP, errno.EPERM):
            raise
        (directory / _RECORD).write_bytes(record)


def _read_record(directory: str) -> bytes:
    try:
        return os.getxattr(directory, _ATTRIBUTE)
    except OSError as error:
        if error.errno not in (errno.ENOTSUP, errno.ENODATA, errno.EPERM):
            raise
        return (Path(directory) / _RECORD).read_bytes()


def _new_link() -> str:
    return base64.b32encode(os.urandom(10)).decode()


def _hex(chain: ChainId) -> str:
    return chain.removeprefix("sha256:")
