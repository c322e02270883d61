"""Layers that are unpacked before it is known what they stand on: several at once, in whatever order their tars come.

    unpack(tar) ─▶ Staged ─┐
    unpack(tar) ─▶ Staged ─┼─▶ place(None, …) ─▶ place(below, …) ─▶ …      the lowest first
    unpack(tar) ─▶ Staged ─┘

Possible where a layer's directory holds that layer alone (overlay). All that a layer takes from those below it, the looks of
directories that its tar only implies, it gets when it is placed.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from sampan.errors import InvalidParameter, System
from sampan.files.measure import measure
from sampan.files.root import SafeRoot
from sampan.snapshots.jail import Unpacked, unpack
from sampan.snapshots.protocol import Layer, LayerNotFound, Staged, chain_id
from sampan.snapshots.shelf import Shelf
from sampan.spec.ids import ChainId

UNPACKED_LIMIT = 256 << 30
"""Bytes that one layer may unpack to; the file system's free space ends it earlier (see `extract`)."""
MAX_DEPTH = 480
"""Layers in a stack. overlayfs takes 500 directories; Docker ends at 125, where a page of mount options does, and Linux before 6.7
somewhere beyond two hundred (`runtime.union`)."""


@dataclass(frozen=True, slots=True)
class Made(Staged):
    """What `unpack` left, in a directory that the shelf does not show."""

    place: Path
    unpacked: Unpacked


class OverlayStaging:
    """See `protocol.Staging`."""

    def __init__(self, shelf: Shelf, written: str) -> None:
        """`written`: the marks, as `jail.unpack` has them."""
        self._shelf = shelf
        self._written = written

    def unpack(self, stream: BinaryIO) -> Made:
        """See the protocol."""
        return unpack_beside(self._shelf, stream, self._written, lambda diff: diff.mkdir(mode=0o755))

    def place(self, parent: ChainId | None, staged: Staged) -> Layer:
        """See the protocol."""
        assert isinstance(staged, Made)
        try:
            check_parent(self._shelf, parent)
            return place(self._shelf, parent, staged, complete=True)
        except BaseException:
            self.discard(staged)
            raise

    def discard(self, staged: Staged) -> None:
        """See the protocol."""
        assert isinstance(staged, Made)
        self._shelf.trash.take(staged.place)


def check_parent(shelf: Shelf, parent: ChainId | None, more: int = 0) -> None:
    """Raises LayerNotFound where there is no such layer, InvalidParameter where nothing may stand on `more` layers above it."""
    if parent is not None and not shelf.has(parent):
        raise LayerNotFound(f"layer {parent} does not exist")
    if more + sum(1 for _ in shelf.chain_of(parent)) >= MAX_DEPTH:
        raise InvalidParameter("max depth exceeded")


def unpack_beside(shelf: Shelf, stream: BinaryIO, marks: str, begin: Callable[[Path], None]) -> Made:
    """Unpack into a fresh directory, which `begin` makes. Raises BadArchive, OSError, System; nothing is left then."""
    made = shelf.new_layer()
    try:
        begin(made / "diff")
        # Not subject to the umask, as the root of what a container sees.
        (made / "diff").chmod(0o755)
        target = os.open(made / "diff", os.O_RDONLY | os.O_DIRECTORY)
        try:
            unpacked = unpack(stream, target, marks, UNPACKED_LIMIT)
            size = measure(target)[0] if unpacked.recount and marks != "applied" else unpacked.size
        finally:
            os.close(target)
    except BaseException:
        shelf.trash.take(made)
        raise
    return Made(unpacked.diff_id, unpacked.tar_size, size, made, unpacked)


def place(shelf: Shelf, parent: ChainId | None, made: Made, *, complete: bool, mend: bool = False) -> Layer:
    """Give what was unpacked its name. `complete`: it holds the layer alone. `mend` as in `Shelf.publish`.

    Raises System, LayerNotFound.
    """
    if complete and made.unpacked.implied and parent is not None:
        _complete(made.place / "diff", made.unpacked.implied, list(shelf.stack(parent)))
    layer = Layer(chain_id(parent, made.diff_id), made.diff_id, parent, made.size, made.tar_size)
    return shelf.publish(made.place, layer, mend)


def _complete(target: Path, implied: tuple[bytes, ...], lowers: list[str]) -> None:
    """Give directories that the archive only implied the owner, mode and time that they have in the layers below.

    Without it a layer with `tmp/file` alone would make /tmp 0755: overlay shows the topmost directory's attributes.
    """
    roots: list[SafeRoot] = []
    try:
        roots.extend(SafeRoot(lower) for lower in lowers if os.path.isdir(lower))
        with SafeRoot(str(target)) as made:
            for path in implied:
                _copy_attributes(made, roots, path)
    except OSError as error:
        raise System(f"cannot complete the directories of the layer: {error}") from error
    finally:
        for root in roots:
            root.close()


def _copy_attributes(made: SafeRoot, lowers: list[SafeRoot], path: bytes) -> None:
    for lower in lowers:
        try:
            source = lower.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_DIRECTORY)
        except FileNotFoundError:
            continue
        except OSError:
            return  # not a directory down there: nothing to take over
        try:
            status = os.fstat(source)
        finally:
            os.close(source)
        target = made.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fchown(target, status.st_uid, status.st_gid)
            os.fchmod(target, status.st_mode & 0o7777)
            os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))
        finally:
            os.close(target)
        return
