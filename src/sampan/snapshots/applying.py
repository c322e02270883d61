"""How a layer comes to be: unpacked beside, verified, completed, renamed."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from sampan.errors import InvalidParameter, System
from sampan.files.compression import decompressed
from sampan.files.measure import measure
from sampan.files.root import SafeRoot
from sampan.files.tar_reader import BadArchive
from sampan.snapshots.jail import Unpacked, unpack
from sampan.snapshots.protocol import Layer, LayerNotFound, chain_id
from sampan.snapshots.shelf import Shelf
from sampan.spec.ids import ChainId, DiffId

UNPACKED_LIMIT = 256 << 30
"""Bytes that one layer may unpack to; the file system's free space ends it earlier (see `extract`)."""
MAX_DEPTH = 125
"""Layers in a stack, as in Docker: more would not fit into a mount's options."""
_CHUNK = 1 << 20


def apply_layer(
    shelf: Shelf,
    parent: ChainId | None,
    stream: BinaryIO,
    expected: DiffId | None,
    marks: str,
    begin: Callable[[Path], None],
    mend: bool = False,
) -> Layer:
    """`Snapshotter.apply` for a driver that keeps its layers on `shelf`. `begin` makes the directory to unpack into.

    `mend`: in the place of what is there, which is damaged.
    """
    if parent is not None and not shelf.has(parent):
        raise LayerNotFound(f"layer {parent} does not exist")
    if expected is not None and not mend and (known := _known(shelf, chain_id(parent, expected))) is not None:
        _verify(_digest_of(stream), expected)
        return known
    if sum(1 for _ in shelf.chain_of(parent)) >= MAX_DEPTH:
        raise InvalidParameter("max depth exceeded")
    made = shelf.new_layer()
    try:
        begin(made / "diff")
        # Not subject to the umask, as the root of what a container sees.
        (made / "diff").chmod(0o755)
        target = os.open(made / "diff", os.O_RDONLY | os.O_DIRECTORY)
        try:
            unpacked = unpack(stream, target, marks, UNPACKED_LIMIT)
            if expected is not None:
                _verify(unpacked.diff_id, expected)
            if marks == "overlay" and unpacked.implied and parent is not None:
                _complete(target, unpacked.implied, list(shelf.stack(parent)))
            size = measure(target)[0] if unpacked.recount and marks == "overlay" else unpacked.size
        finally:
            os.close(target)
        return shelf.publish(made, _named(parent, unpacked, size), mend)
    except BaseException:
        shelf.trash.take(made)
        raise


def _named(parent: ChainId | None, unpacked: Unpacked, size: int) -> Layer:
    return Layer(chain_id(parent, unpacked.diff_id), unpacked.diff_id, parent, size, unpacked.tar_size)


def _known(shelf: Shelf, chain: ChainId) -> Layer | None:
    try:
        return shelf.layer(chain)
    except LayerNotFound:
        return None


def _digest_of(stream: BinaryIO) -> DiffId:
    """The digest of the tar. Read in full though the layer is known: whoever names a layer must have it."""
    hashed = hashlib.sha256()
    source = decompressed(stream)
    while chunk := source.read(_CHUNK):
        hashed.update(chunk)
    return DiffId(f"sha256:{hashed.hexdigest()}")


def _verify(actual: DiffId, expected: DiffId) -> None:
    if actual != expected:
        raise BadArchive(f"wrong diff id calculated on extraction {actual}, {expected} was expected")


def _complete(target: int, implied: tuple[bytes, ...], lowers: list[str]) -> None:
    """Give directories that the archive only implied the owner, mode and time that they have in the layers below.

    Without it a layer with `tmp/file` alone would make /tmp 0755: overlay shows the topmost directory's attributes.
    """
    roots: list[SafeRoot] = []
    try:
        roots.extend(SafeRoot(lower) for lower in lowers if os.path.isdir(lower))
        with SafeRoot(target) as made:
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
