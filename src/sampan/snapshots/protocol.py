"""What every layer driver does: the Snapshotter protocol and the facts that it deals in."""

import functools
import hashlib
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import BinaryIO, Protocol

from sampan.errors import Conflict, NotFound
from sampan.files.trash import Freeing
from sampan.spec.ids import ChainId, DiffId
from sampan.spec.rootfs import RootMount


class LayerNotFound(NotFound):
    """No such layer, or no such writable layer."""


class LayerInUse(Conflict):
    """Another layer or a container stands on the layer."""


@dataclass(frozen=True, slots=True)
class Layer:
    """A read-only layer as it is stored. `size`: bytes of its files and links; `tar_size`: length of its tar."""

    chain: ChainId
    diff_id: DiffId
    parent: ChainId | None
    size: int
    tar_size: int


@dataclass(frozen=True, slots=True)
class Usage:
    """What a writable layer holds of its own: bytes of files (each inode once), and the number of inodes."""

    size: int
    inodes: int


class ChangeKind(IntEnum):
    """Docker's numbers."""

    MODIFIED = 0
    ADDED = 1
    DELETED = 2


@dataclass(frozen=True, slots=True)
class Change:
    """One path, absolute inside the container, and what became of it."""

    path: bytes
    kind: ChangeKind


@functools.lru_cache(2048)
def chain_id(parent: ChainId | None, diff_id: DiffId) -> ChainId:
    """The name of `diff_id` on top of `parent` (OCI image-spec, "Layer ChainID")."""
    if parent is None:
        return ChainId(diff_id)
    return ChainId("sha256:" + hashlib.sha256(f"{parent} {diff_id}".encode()).hexdigest())


@dataclass(frozen=True, slots=True)
class Staged:
    """A layer that is unpacked and has no place yet. `size` and `tar_size` as in `Layer`."""

    diff_id: DiffId
    tar_size: int
    size: int


class Staging(Protocol):
    """Unpacking layers before it is known what they stand on. Any thread may call; every Staged is placed or discarded once.

    A crash leaves nothing that a later `open` would show.
    """

    def unpack(self, stream: BinaryIO) -> Staged:
        """Unpack the tar in `stream`, compressed or not, in a jail, and find its digest. Raises BadArchive, OSError, System."""
        ...

    def place(self, parent: ChainId | None, staged: Staged) -> Layer:
        """Put it on top of `parent`, as `Snapshotter.apply` does. Where that layer exists already, that one is returned.

        Raises LayerNotFound, InvalidParameter (too many layers), System; it is discarded then.
        """
        ...

    def discard(self, staged: Staged) -> None:
        """Delete it, in the background."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Draft:
    """A layer that is being made, on top of `below`, or of the layers `base` where that is None."""

    base: ChainId | None
    below: "Draft | None"
    place: Path
    link: Path

    @property
    def files(self) -> Path:
        """Where what is written goes."""
        return self.place / "diff"

    def stack(self) -> "Iterator[Draft]":
        """It and the drafts below it, the topmost first."""
        draft: Draft | None = self
        while draft is not None:
            yield draft
            draft = draft.below


class Drafts(Protocol):
    """Any thread may call. Every draft is placed or discarded once, the ones on top of it before or after."""

    def begin(self, base: ChainId | None, below: Draft | None = None) -> Draft:
        """A fresh draft on top of a sealed one, or of layers. Raises LayerNotFound, InvalidParameter (too many layers), OSError."""
        ...

    def root(self, draft: Draft) -> RootMount:
        """What the runtime mounts to write to it. One owner at a time."""
        ...

    def opened(self, draft: Draft, bare: bool = False) -> int:
        """Its root with what is below it, to be written to, as a mount that no namespace shows, or a directory where that is all.

        `bare`: without what is below it, where a layer lies by itself (overlay). The caller closes the descriptor, which may be
        O_PATH: it is the mount's own, of which parts can be bound as long as it is open. One owner at a time.
        """
        ...

    def view(self, base: ChainId | None, draft: Draft | None) -> int:
        """The same to be read, of a sealed draft or of layers, a borrowed one too. The caller closes it."""
        ...

    def seal(self, draft: Draft, clock: int | None = None, mounted: Sequence[str] | None = None) -> None:
        """Nothing is written to it any more; no file stays younger than `clock` (seconds since the epoch).

        `mounted`: a container stood on it, with mounts at these places beside the usual ones. What was made for a mount, and holds
        nothing now, is taken out. Raises OSError.
        """
        ...

    def tar(self, draft: Draft) -> Iterator[bytes]:
        """The sealed layer as an uncompressed tar in pieces, the same for the same files."""
        ...

    def place(self, parent: ChainId | None, draft: Draft, diff_id: DiffId, tar_size: int) -> Layer:
        """Give the sealed draft its name. Nobody may be about to mount it, or one on top of it. Raises LayerNotFound, OSError."""
        ...

    def discard(self, draft: Draft) -> None:
        """Delete it, in the background."""
        ...


class Snapshotter(Protocol):
    """Read-only layers in stacks, and writable layers on top of them. One object for each data root; any thread may call.

    *Layers* are named by chain id. `apply` is the only way in: it unpacks a tar on top of `parent`, in a jail, verifies the
    digest over every byte of it, and shows the layer only when it is whole. A crash in between leaves nothing that a later
    `open` would show. Two that apply the same layer at once get the same one. A layer never changes.

    *Whiteouts* follow the OCI image-spec: `.wh.NAME` hides NAME of the layers below, `.wh..wh..opq` all that they have in
    the directory; what the layer itself brings stays, in whatever order it is written. Files called `.wh..wh.*` are aufs'
    own and left out.

    *Writable layers* are named by a key (a container's id). Their content is lost by `remove` only.

        layer = snapshots.apply(None, open("layer.tar", "rb"))
        mount = snapshots.prepare(container_id, layer.chain)     # a RootMount, for the runtime to mount
        snapshots.usage(container_id)
        snapshots.remove(container_id)                           # at once out of sight, deleted in the background
        snapshots.remove_layer(layer.chain)

    Errors: BadArchive (InvalidParameter) where the archive is at fault, LayerNotFound, LayerInUse, OSError for the host's
    own trouble. An operation that raises has changed nothing.
    """

    @property
    def name(self) -> str:
        """`overlay2`, `vfs`, `btrfs`, …: what `info` and `inspect` call the driver."""
        ...

    @property
    def staging(self) -> Staging | None:
        """None for a driver whose layers can only be made one on top of the other."""
        ...

    @property
    def drafts(self) -> Drafts:
        """Layers that are made by writing to them."""
        ...

    def apply(self, parent: ChainId | None, stream: BinaryIO, expected: DiffId | None = None) -> Layer:
        """Unpack the tar in `stream`, compressed or not, on top of `parent`.

        Raises BadArchive where its digest is not `expected`. A layer that exists already is returned, after all of the
        stream was read and verified.
        """
        ...

    def layer(self, chain: ChainId) -> Layer:
        """What is known of a layer. Raises LayerNotFound."""
        ...

    def layers(self) -> tuple[Layer, ...]:
        """All layers that were applied."""
        ...

    def layer_directories(self, chain: ChainId) -> tuple[str, ...]:
        """Where the layers of a stack lie on the host, from the topmost down (`GraphDriver` of inspect). Raises LayerNotFound."""
        ...

    def borrow(
        self, chain: ChainId, directories: Callable[[], tuple[str, ...]], opened: Callable[[], list[int]]
    ) -> None:
        """Let `chain` stand for directories that are not the driver's own, the topmost first (the image `host`).

        They are asked for whenever a container that stands on them starts; what that raises, `prepare` and `mount_of` raise.
        `opened` gives descriptors of them, for this process, which may see them elsewhere.
        """
        ...

    def remove_layer(self, chain: ChainId) -> None:
        """Remove a layer. Raises LayerInUse, LayerNotFound."""
        ...

    @property
    def whole(self) -> bool:
        """Whether a layer's directory holds what lies below it, too: damaged files are then in the layers above as well."""
        ...

    @property
    def bounded(self) -> bool:
        """Whether `prepare` can bound a writable layer's size: its file system counts and enforces project quotas."""
        ...

    def prepare(self, key: str, parent: ChainId | None, size: int = 0) -> RootMount:
        """Make the writable layer `key` on top of `parent` (None: on nothing). Where it exists it is kept as it is.

        It may hold `size` bytes at most, 0 for no bound (only where `bounded`).

        Raises LayerNotFound for the parent, InvalidParameter for a key that is no plain name.
        """
        ...

    def mount_of(self, key: str) -> RootMount:
        """The same RootMount again. Raises LayerNotFound."""
        ...

    def view(self, chain: ChainId) -> int:
        """A descriptor of the root of a stack as a container would first see it, read-only, shown in no mount namespace.

        The caller closes it. Raises LayerNotFound (for a borrowed layer, too), OSError where it cannot be mounted.
        """
        ...

    def keys(self) -> tuple[str, ...]:
        """All writable layers."""
        ...

    def remove(self, key: str) -> None:
        """Remove a writable layer: its name is free at once, its files go in the background. Absent already: no fault."""
        ...

    def usage(self, key: str) -> Usage:
        """Measure a writable layer by walking it. Raises LayerNotFound."""
        ...

    def diff(self, key: str) -> Iterator[bytes]:
        """The writable layer's difference as an uncompressed tar, whiteouts included, in pieces. Raises LayerNotFound."""
        ...

    def changes(self, key: str) -> tuple[Change, ...]:
        """How the writable layer differs from what it stands on, sorted by path. Raises LayerNotFound, OSError.

        As Docker lists it: what is new with everything in it, the topmost of what is gone, and every directory on the way to
        a change. What the engine itself makes in a root is left out.
        """
        ...

    def mounted(self, key: str) -> int:
        """The container's root as a detached mount, which the caller closes. Raises LayerNotFound, OSError.

        One owner for each writable layer: it must not be mounted anywhere else.
        """
        ...

    def looked_at(self, key: str) -> int:
        """The container's root as a detached mount that cannot be written to, which the caller closes.

        It may be mounted elsewhere meanwhile: what is changed there may or may not show. Raises LayerNotFound, OSError.
        """
        ...

    def verify(self, chain: ChainId, stream: BinaryIO) -> Generator[int, None, tuple[str, ...]]:
        """Compare a layer's files with the tar in `stream` that they came from: the differences, as sentences.

        Yields now and then how many bytes of the tar were compared. Raises LayerNotFound, BadArchive, OSError.
        """
        ...

    def mend(self, parent: ChainId | None, stream: BinaryIO, expected: DiffId) -> Layer:
        """`apply`, in the place of what is there under that name. No running container may stand on it. Raises as `apply`."""
        ...

    def standing(self, without: Collection[str] = ()) -> frozenset[ChainId]:
        """The layers that a writable layer stands on, all the way down; those called `without` are not asked."""
        ...

    def strays(self) -> tuple[Path, ...]:
        """What lies among the layers or in the trash and belongs to nothing, or cannot be deleted."""
        ...

    def throw_away(self, stray: Path) -> None:
        """Delete one of `strays` in the background. Raises OSError."""
        ...

    def freeing(self) -> Freeing:
        """What was removed and is still on the disk."""
        ...

    def sync(self) -> None:
        """Make all layers durable: before a record that names them is committed."""
        ...

    def close(self) -> None:
        """End background work. What is left in the trash goes at the next start."""
        ...


def has_layer(snapshots: Snapshotter, chain: ChainId) -> bool:
    """Whether a driver has a layer."""
    try:
        snapshots.layer(chain)
    except LayerNotFound:
        return False
    return True
